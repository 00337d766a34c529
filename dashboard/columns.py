"""Columns: rows by the thousand, written together and read as they are, where Django would compose a query for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models


def read_columns(
    model: type[models.Model], columns: Sequence[str], where: str, given: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Return columns of the rows for which `where` holds, as the database gives them.

    Composing a query takes Django longer than it takes the database to answer one of a chunk's.
    """
    quote = connection.ops.quote_name
    names = ", ".join(quote(column) for column in columns)
    sql = f"SELECT {names} FROM {quote(model._meta.db_table)} WHERE {where}"  # noqa: S608  our own names
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def insert_columns(model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows with values as the database takes them; columns that are not named get the model's defaults."""
    if not rows:
        return
    quote = connection.ops.quote_name
    others = [f for f in model._meta.concrete_fields if f.column not in columns and not f.primary_key]
    defaults = [f.get_db_prep_save(f.get_default(), connection) for f in others]
    names = [*columns, *(str(f.column) for f in others)]
    into = f"{quote(model._meta.db_table)} ({', '.join(map(quote, names))})"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            types = _types(model)
            constants = "".join(f", %s::{types[name]}" for name in names[len(columns) :])
            sql = f"INSERT INTO {into} SELECT given.*{constants} FROM {_arrays(types, columns)} AS given"  # noqa: S608
            cursor.execute(sql, [*defaults, *_turned(rows)])
        else:
            sql = f"INSERT INTO {into} VALUES ({', '.join(['%s'] * len(names))})"  # noqa: S608  our own names
            cursor.executemany(sql, [(*row, *defaults) for row in rows])


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
    """Update columns of many rows with values as the database takes them, each followed by the row's key.

    PostgreSQL takes all rows in one statement: a quarter more of them a second than in one statement a row.
    """
    if not values:
        return
    write = _write_at_once if connection.vendor == "postgresql" else _write_one_by_one
    write(model, columns, values, key)


def _write_one_by_one(
    model: type[models.Model], columns: Sequence[str], values: Sequence[Sequence[Any]], key: Sequence[str]
) -> None:
    quote = connection.ops.quote_name
    assignments = ", ".join(f"{quote(column)} = %s" for column in columns)
    which = " AND ".join(f"{quote(column)} = %s" for column in key)
    sql = f"UPDATE {quote(model._meta.db_table)} SET {assignments} WHERE {which}"  # noqa: S608  our own names
    with connection.cursor() as cursor:
        cursor.executemany(sql, values)


def _write_at_once(
    model: type[models.Model], columns: Sequence[str], values: Sequence[Sequence[Any]], key: Sequence[str]
) -> None:
    quote, table, names = connection.ops.quote_name, connection.ops.quote_name(model._meta.db_table), [*columns, *key]
    assignments = ", ".join(f"{quote(column)} = given.{quote(column)}" for column in columns)
    which = " AND ".join(f"{table}.{quote(column)} = given.{quote(column)}" for column in key)
    given = f"{_arrays(_types(model), names)} AS given ({', '.join(map(quote, names))})"
    with connection.cursor() as cursor:
        sql = f"UPDATE {table} SET {assignments} FROM {given} WHERE {which}"  # noqa: S608  our own names
        cursor.execute(sql, _turned(values))


def _types(model: type[models.Model]) -> dict[str, str]:
    """Return the types of a model's columns, without their lengths: what is too long is refused, not cut."""
    return {str(f.column): str(f.db_type(connection)).partition("(")[0] for f in model._meta.concrete_fields}


def _arrays(types: Mapping[str, str], columns: Sequence[str]) -> str:
    """Return PostgreSQL's table of one array a column."""
    return f"unnest({', '.join(f'%s::{types[column]}[]' for column in columns)})"


def _turned(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
