"""Exports as Parquet. Imported for the first one only: pyarrow takes 0.2 s and 20 MB."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow
from django.core.serializers.json import DjangoJSONEncoder
from pyarrow.parquet import ParquetWriter

from dashboard.models import Item
from dashboard.queries.export_rows import ITEM_COLUMNS, ExportedItems, own_values
from dashboard.queries.results import ColumnNames, result_fields

ROWS_IN_A_GROUP = 20_000
"""Rows of a Parquet row group, which is held in memory."""

INT64 = range(-(2**63), 2**63)
EXACT_FLOATS = range(-(2**53), 2**53 + 1)
"""Integers that a float holds exactly, each of them."""

TYPES = dict.fromkeys(ITEM_COLUMNS, pyarrow.string()) | {
    "index": pyarrow.int64(),
    "child": pyarrow.int64(),
    "attempts": pyarrow.int64(),
    "duration": pyarrow.float64(),
    "finished_at": pyarrow.timestamp("us", tz="UTC"),
}
"""Types of an item's own columns in a file."""


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


def file_parts(items: ExportedItems, columns: ColumnNames) -> Iterator[bytes]:
    """Yield a Parquet file. A column has the type that all its values have; JSON text where they have none in common.

    The items are read twice: what a column is has to be known before the first of it is written.
    """
    schema = _schema(items, columns)
    sink = _Sink()
    with ParquetWriter(sink, schema) as writer:
        for group in _groups(iter(items)):
            rows = [_flat(item, columns) for item in group]
            arrays = [
                pyarrow.array([_fitting(row.get(field.name), field.type) for row in rows], field.type)
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
    return own_values(item) | flat | {f"result.{name}": result.get(name) for name in results}


def _schema(items: ExportedItems, columns: ColumnNames) -> pyarrow.Schema:
    kinds: dict[str, set[type]] = {f"item.{name}": set() for name in columns[0]}
    kinds |= {f"result.{name}": set() for name in columns[1]}
    for item in items:
        for name in columns[0]:
            kinds[f"item.{name}"].add(_kind(item.data.get(name)))
        fields = result_fields(item.result)
        for name in columns[1]:
            kinds[f"result.{name}"].add(_kind(fields.get(name)))
    return pyarrow.schema([*TYPES.items(), *((name, _type(found - {type(None)})) for name, found in kinds.items())])


class _LongInteger:
    """The kind of integers that a column of integers holds exactly, but one of floats does not."""


def _kind(value: Any) -> type:
    """Return a value's kind; a number that no column of a file can hold is text."""
    if isinstance(value, bool) or not isinstance(value, int) or value in EXACT_FLOATS:
        return type(value)
    return _LongInteger if value in INT64 else str


def _type(kinds: set[type]) -> pyarrow.DataType:
    if kinds == {bool}:
        return pyarrow.bool_()
    if kinds and kinds <= {int, _LongInteger}:
        return pyarrow.int64()
    return pyarrow.float64() if kinds and kinds <= {int, float} else pyarrow.string()


def _fitting(value: Any, kind: pyarrow.DataType) -> Any:
    if value is None or kind != pyarrow.string() or isinstance(value, str):
        return value
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
