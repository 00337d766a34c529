"""Columns: rows read and written without a model of each, where a batch has them by the thousand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models


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
    defaults = tuple(f.get_db_prep_save(f.get_default(), connection) for f in others)
    names = [*columns, *(str(f.column) for f in others)]
    into = ", ".join(quote(name) for name in names)
    marks = ", ".join(["%s"] * len(names))
    sql = f"INSERT INTO {quote(model._meta.db_table)} ({into}) VALUES ({marks})"  # noqa: S608  our own names
    with connection.cursor() as cursor:
        cursor.executemany(sql, [(*row, *defaults) for row in rows])


def update_rows(model: type[models.Model], rows: Iterable[models.Model], names: Sequence[str]) -> None:
    """Update columns of many rows, each with its own values, in one executemany: bulk_update is many times slower."""
    rows = list(rows)
    if not rows:
        return
    by_name = {f.name: f for f in model._meta.concrete_fields}
    fields = [by_name[name] for name in names]
    values = [[*(f.get_db_prep_save(getattr(row, f.attname), connection) for f in fields), row.pk] for row in rows]
    write_columns(model, [str(f.column) for f in fields], values)


def write_columns(
    model: type[models.Model],
    columns: Sequence[str],
    values: Sequence[Sequence[Any]],
    key: Sequence[str] = ("id",),
) -> None:
    """Update columns of many rows with values as the database takes them, each followed by the row's key."""
    if not values:
        return
    quote = connection.ops.quote_name
    assignments = ", ".join(f"{quote(column)} = %s" for column in columns)
    which = " AND ".join(f"{quote(column)} = %s" for column in key)
    sql = f"UPDATE {quote(model._meta.db_table)} SET {assignments} WHERE {which}"  # noqa: S608  our own names
    with connection.cursor() as cursor:
        cursor.executemany(sql, values)
