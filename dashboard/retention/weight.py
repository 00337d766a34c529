"""Weight: rows and bytes that batches take up. Reads only.

Rows are counted. Bytes are estimated: by the size of a table and of its indexes on PostgreSQL, of which a batch has its
share of the rows, corrected by a sample of its own items; by such a sample and a factor for indexes on SQLite, which
does not tell the size of a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import connection, models
from django.db.models import Count

from dashboard.database.bulk import slices
from dashboard.models import Attempt, Batch, Item, Node, Upload
from dashboard.retention.tables import LARGE

SAMPLE = 200
"""Rows of a batch's table that are measured."""

INDEXES = {Item: 95, Node: 290, Attempt: 95}
"""Bytes of all indexes for a row, as measured on SQLite with 100,000 items; of other tables OTHER_INDEXES."""

OTHER_INDEXES = 60
ROW = 12
"""Bytes that SQLite needs for a row and its share of a page, beside its values."""

Rows = dict[type[models.Model], int]


@dataclass(frozen=True)
class Weight:
    """What batches take up: rows and estimated bytes in the database, of which results, and bytes of uploads."""

    rows: int = 0
    bytes: int = 0
    results: int = 0
    uploads: int = 0

    def __add__(self, other: Weight) -> Weight:
        return Weight(
            self.rows + other.rows,
            self.bytes + other.bytes,
            self.results + other.results,
            self.uploads + other.uploads,
        )


def weight_of(batch: Batch) -> Weight:
    """Return what one batch weighs, measured by a sample of its own rows."""
    rows = {model: model._default_manager.filter(batch=batch.pk).count() for model in LARGE}
    total = sum(number * _bytes_of_a_row(model, batch.pk) for model, number in rows.items() if number)
    results = rows[Item] * _mean_length(Item, "result", batch.pk) if rows[Item] else 0.0
    upload = Upload.objects.filter(pk=upload_of(batch) or "").values_list("size", flat=True).first()
    return Weight(sum(rows.values()), round(total), round(results), upload or 0)


def upload_of(batch: Batch) -> str:
    """Return the id of the upload from which a batch's items came, or an empty one."""
    return str(batch.source.get("upload") or "")


@dataclass
class Scale:
    """Weighs many batches: rows are counted together, and a row counts as the mean of its table."""

    _means: dict[type[models.Model], float] = field(default_factory=dict)

    def weigh(self, batches: Sequence[str]) -> Mapping[str, Weight]:
        """Return the weight of each batch."""
        found = dict.fromkeys(batches, Weight())
        for some in slices(batches):
            for model in LARGE:
                counted = model._default_manager.filter(batch__in=some).order_by().values_list("batch")
                for batch, number in counted.annotate(Count("pk")):
                    found[batch] += Weight(number, round(number * self._mean(model, batch)))
        return found

    def _mean(self, model: type[models.Model], batch: str) -> float:
        """Return the mean bytes of a row: of its table, or where the database does not tell that of a first batch."""
        if model not in self._means:
            self._means[model] = _bytes_of_a_row(model, batch)
        return self._means[model]


def _bytes_of_a_row(model: type[models.Model], batch: str) -> float:
    """Return the bytes that a row of a batch takes up, with its share of the indexes."""
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    if connection.vendor == "postgresql":
        sample = f"SELECT * FROM {table} WHERE batch_id = %s LIMIT {SAMPLE}"  # noqa: S608  our own names
        own = _one(f"SELECT avg(pg_column_size(t.*)) FROM ({sample}) t", [batch])  # noqa: S608
        return own + 28 + _index_bytes(model)
    columns = " + ".join(
        f"coalesce(length(CAST({quote(str(f.column))} AS BLOB)), 0)" for f in model._meta.concrete_fields
    )
    own = _one(f"SELECT avg({columns}) FROM (SELECT * FROM {table} WHERE batch_id = %s LIMIT {SAMPLE})", [batch])  # noqa: S608
    return own + ROW + len(model._meta.concrete_fields) + INDEXES.get(model, OTHER_INDEXES)


def _index_bytes(model: type[models.Model]) -> float:
    """Return the bytes of all indexes for a row of a table on PostgreSQL, by its own statistics."""
    size = "SELECT pg_indexes_size(c.oid) / greatest(c.reltuples, 1000) FROM pg_class c WHERE c.oid = to_regclass(%s)"
    return min(_one(size, [connection.ops.quote_name(model._meta.db_table)]), 600.0)


def _mean_length(model: type[models.Model], column: str, batch: str) -> float:
    quote = connection.ops.quote_name
    table, name = quote(model._meta.db_table), quote(column)
    length = f"pg_column_size({name})" if connection.vendor == "postgresql" else f"length(CAST({name} AS BLOB))"
    return _one(
        f"SELECT avg(coalesce({length}, 0)) FROM (SELECT {name} FROM {table} WHERE batch_id = %s LIMIT {SAMPLE}) t",  # noqa: S608
        [batch],
    )


def _one(query: str, given: Sequence[str]) -> float:
    with connection.cursor() as cursor:
        cursor.execute(query, given)
        row = cursor.fetchone()
    return float(row[0] or 0) if row else 0.0


def database_bytes() -> int:
    """Return the size of the whole database, in bytes."""
    if connection.vendor == "postgresql":
        return int(_one("SELECT pg_database_size(current_database())", []))
    return int(_one("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", []))


def free_bytes() -> int:
    """Return the bytes of an SQLite file that are free for new rows; 0 on PostgreSQL, which does not tell."""
    if connection.vendor == "postgresql":
        return 0
    return int(_one("SELECT freelist_count * page_size FROM pragma_freelist_count(), pragma_page_size()", []))
