"""Bulk reads, inserts and updates of columns, a few statements for thousands of rows.

Django composes a query per call and SQLite steps row by row. With each step Python may release the interpreter to
another thread, and one that computes, as a processor may, keeps it for 5 ms: 2,000 results took 13 seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

ROWS_AT_ONCE = 500
"""Rows that are loaded and written together; also how many ids an IN clause gets."""

ROWS_PER_STATEMENT = 500
"""Rows per statement on SQLite, which takes at most 32,766 values."""

T = TypeVar("T")


def slices(rows: Sequence[T], size: int = ROWS_AT_ONCE) -> Iterator[Sequence[T]]:
    """Yield rows in slices of at most `size`."""
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def read_columns(
    model: type[models.Model], columns: Sequence[str], where: str, given: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Return columns of the rows for which `where` holds, unconverted: text and integers only.

    Django takes longer to compose a chunk's query than the database to answer it. SQLite's JSON would keep only 15
    digits of a float.
    """
    names = _quoted(columns)
    rows = f"SELECT {names} FROM {_quoted([model._meta.db_table])} WHERE {where}"  # noqa: S608  our own names
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"SELECT json_group_array(json_array({names})) FROM ({rows})", given)  # noqa: S608
            return [tuple(row) for row in json.loads(cursor.fetchone()[0])]
        cursor.execute(rows, given)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def insert_columns(model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows of values already prepared for the database; columns not named get the model's defaults."""
    others = [f for f in model._meta.concrete_fields if f.column not in columns and not f.primary_key]
    defaults = [f.get_db_prep_save(f.get_default(), connection) for f in others]
    types = _types(model)
    constants = "".join(f", %s::{types[str(f.column)]}" if _is_postgresql() else ", %s" for f in others)
    names = _quoted([*columns, *(str(f.column) for f in others)])
    insert = f"INSERT INTO {_quoted([model._meta.db_table])} ({names}) SELECT given.*{constants} FROM given"  # noqa: S608
    _execute(model, columns, rows, insert, defaults)


def insert_rows(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """Insert rows without reading back their ids."""
    fields = [f for f in model._meta.concrete_fields if not f.primary_key]
    insert_columns(model, [str(f.column) for f in fields], _prepared(rows, fields))


def update_rows(model: type[models.Model], rows: Sequence[models.Model], names: Sequence[str]) -> None:
    """Update fields of many rows, each with its own values. Django's bulk_update is many times slower."""
    by_name = {f.name: f for f in model._meta.concrete_fields}
    fields = [by_name[name] for name in names]
    values = [[*columns, row.pk] for columns, row in zip(_prepared(rows, fields), rows, strict=True)]
    write_columns(model, [str(f.column) for f in fields], values)


def _prepared(rows: Sequence[models.Model], fields: Sequence[models.Field[Any, Any]]) -> list[list[Any]]:
    """Return the fields of rows, prepared for the database."""
    database = connections[DEFAULT_DB_ALIAS]  # `connection` is a proxy that looks it up at each attribute
    return [[f.get_db_prep_save(getattr(row, f.attname), database) for f in fields] for row in rows]


def write_columns(
    model: type[models.Model],
    columns: Sequence[str],
    values: Sequence[Sequence[Any]],
    key: Sequence[str] = ("id",),
) -> None:
    """Update columns of many rows; values are prepared for the database, each row's followed by its key."""
    quote, table = connection.ops.quote_name, _quoted([model._meta.db_table])
    assignments = ", ".join(f"{quote(column)} = given.{quote(column)}" for column in columns)
    which = " AND ".join(f"{table}.{quote(column)} = given.{quote(column)}" for column in key)
    update = f"UPDATE {table} SET {assignments} FROM given WHERE {which}"  # noqa: S608  our own names
    _execute(model, [*columns, *key], values, update)


def _execute(
    model: type[models.Model],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    statement: str,
    others: Sequence[Any] = (),
) -> None:
    """Execute a statement over rows, which it reads from a common table expression `given` with these columns."""
    tables = _arrays if _is_postgresql() else _values
    with connection.cursor() as cursor:
        for table, parameters in tables(model, columns, rows):
            cursor.execute(f"WITH given ({_quoted(columns)}) AS ({table}) {statement}", [*parameters, *others])


def _arrays(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the rows as one PostgreSQL table, with an array per column."""
    if rows:
        types = _types(model)
        arrays = ", ".join(f"%s::{types[column]}[]" for column in columns)
        yield f"SELECT * FROM unnest({arrays})", [list(column) for column in zip(*rows, strict=True)]  # noqa: S608


def _values(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, list[Any]]]:
    """Yield the rows as SQLite tables, padded to a power of two so that only a few statements exist.

    A connection caches prepared statements by their text, and one of 250 rows takes 400 kB. With a text for each number
    of rows, the caches of a web process grew beyond 100 MB.
    """
    places = f"({', '.join(['%s'] * len(columns))})"
    for some in slices(rows, ROWS_PER_STATEMENT):
        size = min(ROWS_PER_STATEMENT, 1 << (len(some) - 1).bit_length())
        padding = [None] * (len(columns) * (size - len(some)))
        values = [value for row in some for value in row]
        yield f"SELECT * FROM (VALUES {', '.join([places] * size)}) LIMIT %s", [*values, *padding, len(some)]  # noqa: S608


def _is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def _types(model: type[models.Model]) -> dict[str, str]:
    """Return the types of a model's columns without lengths, so that what is too long is refused, not truncated."""
    return {str(f.column): str(f.db_type(connection)).partition("(")[0] for f in model._meta.concrete_fields}


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(connection.ops.quote_name, names))
