"""Columns: rows by the thousand, written together and read as they are, where Django would compose a query for each.

Rows go into SQLite and out of it together too. For each one that goes by itself Python lets other threads have the
interpreter, and where one of them computes, as a processor may, it has it for 5 ms: 2,000 results took 13 seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

ROWS_AT_ONCE = 500
"""Nodes that are loaded and written together; also what fits into one IN clause."""

T = TypeVar("T")
ROWS = 500
"""Rows of a statement of SQLite, which takes 32,766 values."""


def read_columns(
    model: type[models.Model], columns: Sequence[str], where: str, given: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Return columns of the rows for which `where` holds, as the database gives them: text and whole numbers.

    Composing a query takes Django longer than it takes the database to answer one of a chunk's. Of a number with a
    fraction SQLite would tell 15 digits.
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
    """Insert rows with values as the database takes them; columns that are not named get the model's defaults."""
    others = [f for f in model._meta.concrete_fields if f.column not in columns and not f.primary_key]
    defaults = [f.get_db_prep_save(f.get_default(), connection) for f in others]
    types = _types(model)
    constants = "".join(f", %s::{types[str(f.column)]}" if _is_postgresql() else ", %s" for f in others)
    names = _quoted([*columns, *(str(f.column) for f in others)])
    insert = f"INSERT INTO {_quoted([model._meta.db_table])} ({names}) SELECT given.*{constants} FROM given"  # noqa: S608
    _execute(model, columns, rows, insert, defaults)


def insert_rows(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """Insert rows, without asking for the ids that they get."""
    fields = [f for f in model._meta.concrete_fields if not f.primary_key]
    insert_columns(model, [str(f.column) for f in fields], _prepared(rows, fields))


def update_rows(model: type[models.Model], rows: Sequence[models.Model], names: Sequence[str]) -> None:
    """Update columns of many rows, each with its own values: bulk_update is many times slower."""
    by_name = {f.name: f for f in model._meta.concrete_fields}
    fields = [by_name[name] for name in names]
    values = [[*columns, row.pk] for columns, row in zip(_prepared(rows, fields), rows, strict=True)]
    write_columns(model, [str(f.column) for f in fields], values)


def _prepared(rows: Sequence[models.Model], fields: Sequence[models.Field[Any, Any]]) -> list[list[Any]]:
    """Return columns of rows as the database takes them."""
    database = connections[DEFAULT_DB_ALIAS]  # `connection` looks it up anew for whatever is asked of it
    return [[f.get_db_prep_save(getattr(row, f.attname), database) for f in fields] for row in rows]


def write_columns(
    model: type[models.Model],
    columns: Sequence[str],
    values: Sequence[Sequence[Any]],
    key: Sequence[str] = ("id",),
) -> None:
    """Update columns of many rows with values as the database takes them, each followed by the row's key."""
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
    """Execute a statement over rows, which it knows as the table `given` of these columns."""
    tables = _arrays if _is_postgresql() else _values
    with connection.cursor() as cursor:
        for table, parameters in tables(model, columns, rows):
            cursor.execute(f"WITH given ({_quoted(columns)}) AS ({table}) {statement}", [*parameters, *others])


def _arrays(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, list[Any]]]:
    """Yield PostgreSQL's table of all rows, one array a column."""
    if rows:
        types = _types(model)
        arrays = ", ".join(f"%s::{types[column]}[]" for column in columns)
        yield f"SELECT * FROM unnest({arrays})", [list(column) for column in zip(*rows, strict=True)]  # noqa: S608


def _values(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Iterator[tuple[str, list[Any]]]:
    """Yield SQLite's tables of so many rows each."""
    places = f"({', '.join(['%s'] * len(columns))})"
    for first in range(0, len(rows), ROWS):
        some = rows[first : first + ROWS]
        yield f"VALUES {', '.join([places] * len(some))}", [value for row in some for value in row]


def _is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def _types(model: type[models.Model]) -> dict[str, str]:
    """Return the types of a model's columns, without their lengths: what is too long is refused, not cut."""
    return {str(f.column): str(f.db_type(connection)).partition("(")[0] for f in model._meta.concrete_fields}


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(connection.ops.quote_name, names))


def _slices(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[first : first + ROWS_AT_ONCE]
