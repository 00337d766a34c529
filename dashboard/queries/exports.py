"""Downloads of a batch's items with their outcome, in constant memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from dashboard.inputs import relaunch
from dashboard.queries.export_rows import ITEM_COLUMNS, ExportedItems, own_values
from dashboard.queries.results import ColumnNames, result_fields
from dashboard.server.streaming import csv_writer

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Prefixes that a spreadsheet takes for a formula; the last four are full-width characters."""

INNER_FORMULA = re.compile("(?<=[;\t\r\n])(?=[ ]*[=+\\-@\uff1d\uff0b\uff0d\uff20])")
"""Where a formula begins within a cell for a spreadsheet whose language separates columns by semicolons or tabs."""

NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")

BYTE_ORDER_MARK = "\ufeff"


def json_lines(items: ExportedItems, columns: ColumnNames) -> Iterator[str]:
    """Yield each item as one line of JSON, with its data and result."""
    for item in items:
        whole = own_values(item) | {"data": item.data, "result": item.result}
        yield json.dumps(whole, cls=DjangoJSONEncoder, ensure_ascii=False) + "\n"


def csv_lines(items: ExportedItems, columns: ColumnNames, as_cell: Callable[[Any], Any] | None = None) -> Iterator[str]:
    """Yield a header and each item as a line of CSV; fields of data and result are columns of their own."""
    data, results = columns
    writer, as_cell = csv_writer(), as_cell or cell
    names = [*ITEM_COLUMNS, *(f"item.{name}" for name in data), *(f"result.{name}" for name in results)]
    yield writer.writerow(map(as_cell, names))
    for item in items:
        own, result = own_values(item), result_fields(item.result)
        values = [*(own[name] for name in ITEM_COLUMNS), *(item.data.get(name) for name in data)]
        yield writer.writerow([as_cell(value) for value in (*values, *(result.get(name) for name in results))])


def spreadsheet_lines(items: ExportedItems, columns: ColumnNames) -> Iterator[str]:
    """Yield the lines of a CSV file with the mark by which Excel knows that it is UTF-8."""
    yield BYTE_ORDER_MARK
    yield from csv_lines(items, columns, shown_cell)


def rejected_for_spreadsheets(failed: ExportedItems) -> Iterator[str]:
    """Yield the failed items as CSV to be looked at: no cell is a formula, and no column's name."""
    columns = input_columns(failed)
    writer = csv_writer()
    yield BYTE_ORDER_MARK + writer.writerow(map(shown_cell, [*columns, relaunch.REASON_COLUMN]))
    for item in failed:
        yield writer.writerow([shown_cell(each) for each in (*map(item.data.get, columns), item.error_message)])


def input_columns(items: ExportedItems) -> list[str]:
    """Return the fields of all items' input, in order of appearance."""
    columns = dict[str, None]()
    for item in items:
        columns |= dict.fromkeys(item.data)
    return list(columns)


def launch_again_csv(items: ExportedItems) -> Iterator[str]:
    """Yield items as CSV from which a launch makes the same items."""
    yield from relaunch.csv_lines(input_columns(items), _given(items))


def launch_again_jsonl(items: ExportedItems) -> Iterator[str]:
    """Yield items as JSON Lines from which a launch makes the same items."""
    yield from relaunch.json_lines(_given(items))


def _given(items: ExportedItems) -> Iterator[tuple[str, Mapping[str, Any], str]]:
    for item in items:
        yield item.key, item.data, item.error_message


def cell(value: Any) -> Any:
    """Return a value as a cell that no spreadsheet takes for a formula; signed numbers stay as they are."""
    if isinstance(value, dict | list):
        value = json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(FORMULA) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return "" if value is None else value


def shown_cell(value: Any) -> Any:
    """Return a value as `cell`, also where a spreadsheet splits cells at other characters than commas."""
    protected = cell(value)
    return INNER_FORMULA.sub("'", protected) if isinstance(protected, str) else protected


def parquet_parts(items: ExportedItems, columns: ColumnNames) -> Iterator[bytes]:
    """Yield a Parquet file."""
    from dashboard.queries.parquet import file_parts  # imported for the first one: see there

    yield from file_parts(items, columns)


DOWNLOADS: dict[str, tuple[str, Callable[[ExportedItems, ColumnNames], Iterable[str | bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", csv_lines),
    "jsonl": ("application/x-ndjson", json_lines),
    "parquet": ("application/vnd.apache.parquet", parquet_parts),
}
"""Content type and writer, by the ending of the file's name."""

LAUNCH_AGAIN: dict[str, Callable[[ExportedItems], Iterable[str]]] = {
    "csv": launch_again_csv,
    "jsonl": launch_again_jsonl,
}
"""Writers of items to be launched again, by the ending of the file's name."""
