"""What an export has of each item, whatever its format."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Any

from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Coalesce

from dashboard.database.json_values import StoredSize
from dashboard.models import Batch, Item, ItemQuerySet
from dashboard.queries.results import VALUE, ColumnNames, column_names
from orchestration.errors.kinds import error_kind

FIRST_ROWS = 16
"""Rows of the first portion, before anything is known of how large they are."""

ROWS_AT_ONCE = 2_000
BYTES_AT_ONCE = 8 * 1024 * 1024
"""Most rows of a portion, and about how much the databases stores of them."""

IDS_AT_ONCE = 10_000

ITEM_COLUMNS = (
    "index",
    "key",
    "child",
    "status",
    "attempts",
    "duration",
    "finished_at",
    "error_kind",
    "error_type",
    "error_message",
)
"""An item's own columns."""


def exported_columns(batch: Batch) -> ColumnNames:
    """Return the fields of all items, and of all results: those of the first in their order, others by name."""
    first = column_names(batch)
    return ColumnNames(
        *(
            [*shown, *sorted(set(_members(batch, column)) - {*shown})]
            for column, shown in (("data", first.data), ("result", first.results))
        )
    )


def _members(batch: Batch, column: str) -> Iterator[str]:
    """Yield the names of the members of a JSON column; VALUE where it has something else than an object."""
    is_sqlite = connection.vendor == "sqlite"
    kind = f"json_type({column})" if is_sqlite else f"jsonb_typeof({column})"
    table, of_batch = Item._meta.db_table, f"batch_id = %s AND {kind}"
    if is_sqlite:
        names = f"SELECT DISTINCT each.key FROM {table}, json_each({column}) AS each WHERE {of_batch} = 'object'"  # noqa: S608  our own names
    else:
        names = f"SELECT DISTINCT jsonb_object_keys({column}) FROM {table} WHERE {of_batch} = 'object'"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(names, [batch.pk])
        yield from (name for (name,) in cursor.fetchall())
        cursor.execute(f"SELECT 1 FROM {table} WHERE {of_batch} NOT IN ('object', 'null') LIMIT 1", [batch.pk])  # noqa: S608
        yield from (VALUE for _ in cursor.fetchall())


def own_values(item: Any) -> dict[str, Any]:
    """Return an item's own columns."""
    shown = {name: getattr(item, name) for name in ITEM_COLUMNS if name not in ("status", "error_kind")}
    kind = error_kind(item.error_type) if item.error_type else ""
    return shown | {"status": item.shown_status, "error_kind": kind}


class ExportedItems:
    """The items of a query in order, as they were chosen when this was made. Iterating reads them in portions.

    No cursor is open between two portions, so whoever reads slowly keeps no connection; ids take 8 bytes an item.
    """

    def __init__(self, items: ItemQuerySet) -> None:
        """Read the ids of the items."""
        self._ids = array("q", items.values_list("pk", flat=True).iterator(chunk_size=IDS_AT_ONCE))

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self._ids)

    def __iter__(self) -> Iterator[Item]:
        """Yield the items. Raises LookupError where one has been deleted meanwhile."""
        at, size = 0, FIRST_ROWS
        while ids := self._ids[at : at + size]:
            portion = Item.objects.filter(pk__in=ids.tolist()).with_shown_status()
            rows: Iterable[Any] = portion.annotate(stored_size=_stored_size())
            found = {item.pk: item for item in rows}
            if len(found) != len(ids):
                raise LookupError("Items were deleted while they were downloaded.")
            average = sum(item.stored_size for item in found.values()) // len(found) + 1
            at, size = at + size, max(1, min(2 * size, ROWS_AT_ONCE, BYTES_AT_ONCE // average))
            for pk in ids:
                yield found.pop(pk)


def _stored_size() -> Any:
    return StoredSize(F("data")) + Coalesce(StoredSize(F("result")), Value(0))
