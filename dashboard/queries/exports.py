"""Downloads of a batch's items with their outcome, streamed in constant memory."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow
from django.core.serializers.json import DjangoJSONEncoder
from pyarrow.parquet import ParquetWriter

from dashboard.models import Batch, Item, ItemQuerySet
from dashboard.queries.results import ColumnNames, result_fields
from orchestration.contracts.status import Status
from orchestration.errors.kinds import error_kind

ROWS_AT_ONCE = 2_000
ROWS_IN_A_GROUP = 20_000
"""Rows of a Parquet row group, which is held in memory."""

INT64 = range(-(2**63), 2**63)

ITEM_COLUMNS = {
    "index": pyarrow.int64(),
    "key": pyarrow.string(),
    "child": pyarrow.int64(),
    "status": pyarrow.string(),
    "attempts": pyarrow.int64(),
    "duration": pyarrow.float64(),
    "finished_at": pyarrow.timestamp("us", tz="UTC"),
    "error_kind": pyarrow.string(),
    "error_type": pyarrow.string(),
    "error_message": pyarrow.string(),
}
"""An item's own columns, and their types in a Parquet file."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Prefixes that a spreadsheet takes for a formula."""

NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")

REASON_COLUMN = "why_rejected"


class _Echo:
    """A file for csv.writer, whose write returns the row."""

    def write(self, value: str) -> str:
        return value


def _own(item: Any) -> dict[str, Any]:
    shown = {name: getattr(item, name) for name in ITEM_COLUMNS if name not in ("status", "error_kind")}
    kind = error_kind(item.error_type) if item.error_type else ""
    return shown | {"status": item.shown_status, "error_kind": kind}


def _rows(items: ItemQuerySet) -> Iterator[Item]:
    return items.iterator(chunk_size=ROWS_AT_ONCE)


def json_lines(items: ItemQuerySet, columns: ColumnNames) -> Iterator[str]:
    """Yield each item as one line of JSON, with its data and result."""
    for item in _rows(items):
        whole = _own(item) | {"data": item.data, "result": item.result}
        yield json.dumps(whole, cls=DjangoJSONEncoder, ensure_ascii=False) + "\n"


def csv_lines(items: ItemQuerySet, columns: ColumnNames) -> Iterator[str]:
    """Yield a header and each item as a line of CSV; fields of data and result are columns of their own."""
    data, results = columns
    writer = csv.writer(_Echo())
    yield writer.writerow([*ITEM_COLUMNS, *(f"item.{name}" for name in data), *(f"result.{name}" for name in results)])
    for item in _rows(items):
        own, result = _own(item), result_fields(item.result)
        values = [*(own[name] for name in ITEM_COLUMNS), *(item.data.get(name) for name in data)]
        yield writer.writerow([cell(value) for value in (*values, *(result.get(name) for name in results))])


def rejected_lines(batch: Batch) -> Iterator[str]:
    """Yield the failed items as CSV in the columns of their input, with the reason: to be fixed and launched again."""
    failed = batch.items.filter(status=Status.FAILED).order_by("index").only("data", "error_message")
    columns = dict[str, None]()
    for data in failed.values_list("data", flat=True).iterator(chunk_size=ROWS_AT_ONCE):
        columns |= dict.fromkeys(data)
    writer = csv.writer(_Echo())
    yield writer.writerow([*columns, REASON_COLUMN])
    for item in failed.iterator(chunk_size=ROWS_AT_ONCE):
        yield writer.writerow([cell(each) for each in (*map(item.data.get, columns), item.error_message)])


def cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet takes for a formula; signed numbers stay as they are."""
    if isinstance(value, dict | list):
        value = json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return "" if value is None else value


# Parquet


class _Sink:
    """A file whose written parts are taken out as they come."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at, self.closed = 0, False

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def parquet_parts(items: ItemQuerySet, columns: ColumnNames) -> Iterator[bytes]:
    """Yield a Parquet file. A column has the type that its values share, else it is JSON text.

    The items are read twice, since the schema has to be known before the first row is written.
    """
    schema = _schema(items, columns)
    sink = _Sink()
    with ParquetWriter(sink, schema) as writer:
        for group in _groups(_rows(items)):
            rows = [_flat(item, columns) for item in group]
            arrays = [
                pyarrow.array([_as_type(row.get(field.name), field.type) for row in rows], field.type)
                for field in schema
            ]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
            yield sink.take()
    yield sink.take()


def _groups(rows: Iterator[Item]) -> Iterator[list[Item]]:
    while group := [row for _, row in zip(range(ROWS_IN_A_GROUP), rows, strict=False)]:
        yield group


def _flat(item: Item, columns: ColumnNames) -> dict[str, Any]:
    data, results = columns
    result = result_fields(item.result)
    flat = {f"item.{name}": item.data.get(name) for name in data}
    return _own(item) | flat | {f"result.{name}": result.get(name) for name in results}


def _schema(items: ItemQuerySet, columns: ColumnNames) -> pyarrow.Schema:
    kinds: dict[str, set[type]] = {f"item.{name}": set() for name in columns.data}
    kinds |= {f"result.{name}": set() for name in columns.results}
    for data, result in items.values_list("data", "result").iterator(chunk_size=ROWS_AT_ONCE):
        for name in columns.data:
            kinds[f"item.{name}"].add(_kind(data.get(name)))
        fields = result_fields(result)
        for name in columns.results:
            kinds[f"result.{name}"].add(_kind(fields.get(name)))
    return pyarrow.schema(
        [*ITEM_COLUMNS.items(), *((name, _type(found - {type(None)})) for name, found in kinds.items())]
    )


def _kind(value: Any) -> type:
    """Return a value's type; str for an integer of more than 64 bits."""
    return str if isinstance(value, int) and value not in INT64 else type(value)


def _type(kinds: set[type]) -> pyarrow.DataType:
    if kinds == {bool}:
        return pyarrow.bool_()
    if kinds == {int}:
        return pyarrow.int64()
    return pyarrow.float64() if kinds and kinds <= {int, float} else pyarrow.string()


def _as_type(value: Any, kind: pyarrow.DataType) -> Any:
    if value is None or kind != pyarrow.string() or isinstance(value, str):
        return value
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)


DOWNLOADS: dict[str, tuple[str, Callable[[ItemQuerySet, ColumnNames], Iterable[str | bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", csv_lines),
    "jsonl": ("application/x-ndjson", json_lines),
    "parquet": ("application/vnd.apache.parquet", parquet_parts),
}
"""Content type and writer, by the ending of the file's name."""
