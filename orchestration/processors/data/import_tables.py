"""The table that an import writes to, and two of our own beside it.

By those a row that is done again, and one that is taken out again, is known for what it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Column as TableColumn
from sqlalchemy import Connection, MetaData, Table, Text, bindparam, cast, delete, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import NoSuchTableError, StatementError
from sqlalchemy.types import NullType

from orchestration.processors.data.connections import VARIABLE, WRITABLE, ConnectionMissing, InvalidTable, is_writable
from orchestration.processors.data.databases import connected, database_failure, url_of
from orchestration.processors.processor import ItemContext

TIMEOUT = 60.0
"""Seconds for one statement."""

OUR_LOCK = 0xCA0B
"""Of PostgreSQL's advisory locks: two workers do not make the same table at once."""

REMEMBERED = timedelta(days=30)
"""How long the values of unique columns are kept: retries of older batches no longer know of duplicates."""

_ours = MetaData()
IMPORTS = Table(
    "canopy_imports",
    _ours,
    TableColumn("work", Text, primary_key=True, comment="the batch and the index of the item"),
    TableColumn("row_key", Text, nullable=False),
    TableColumn("before", Text, comment="the row as it was, as JSON; NULL where there was none"),
)
VALUES = Table(
    "canopy_import_values",
    _ours,
    TableColumn("batch", Text, primary_key=True),
    TableColumn("name", Text, primary_key=True),
    TableColumn("value", Text, primary_key=True),
    TableColumn("item", Text, nullable=False),
    TableColumn("at", Text, nullable=False),
)


class Target:
    """The table that rows go into, and the statements on it. Values are data that JSON can hold."""

    def __init__(self, table: Table, key: Sequence[str], *, typed: bool) -> None:
        self._table, self._key, self._typed = table, key, typed

    @classmethod
    def of(cls, connection: Connection, name: str, columns: Sequence[str], key: Sequence[str]) -> Target:
        """Look at a table (name or schema.name), which is to have columns and a key of some. Raises InvalidTable."""
        schema, _, own = name.rpartition(".")
        try:
            table = Table(own, MetaData(), schema=schema or None, autoload_with=connection)
        except NoSuchTableError:
            raise InvalidTable(f"There is no table {name}.") from None
        missing = [each for each in columns if each not in table.c]
        if missing:
            raise InvalidTable(f"{name} has no column {', '.join(missing)}.")
        if set(key) not in _keys(connection, table):
            raise InvalidTable(f"{name} has no primary key or unique index over {', '.join(key)}.")
        if connection.dialect.name == "postgresql":
            return cls(table, key, typed=True)
        plain_columns = [TableColumn(each, NullType()) for each in table.c.keys()]  # noqa: SIM118  no mapping
        return cls(Table(own, MetaData(), *plain_columns, schema=schema or None), key, typed=False)

    def _value(self, name: str, value: Any) -> Any:
        """Return a value for a column: PostgreSQL makes its own type of a text, SQLite takes what it gets."""
        if not self._typed or value is None:
            return value
        text = value if isinstance(value, str) else json.dumps(value)
        return cast(bindparam(None, text, Text), self._table.c[name].type)

    def _is(self, key: Mapping[str, Any]) -> list[Any]:
        return [self._table.c[name] == self._value(name, value) for name, value in key.items()]

    def select(self, key: Mapping[str, Any]) -> Any:
        """Return the whole row with a key."""
        found = select(self._table).where(*self._is(key))
        return found.with_for_update() if self._typed else found

    def delete(self, key: Mapping[str, Any]) -> Any:
        """Take the row with a key out."""
        return delete(self._table).where(*self._is(key))

    def upsert(self, values: Mapping[str, Any]) -> Any:
        """Put a row in, or change the one with its key."""
        given = {name: self._value(name, value) for name, value in values.items()}
        statement = (postgresql.insert if self._typed else sqlite.insert)(self._table).values(given)
        others = {name: statement.excluded[name] for name in given if name not in self._key}
        if not others:
            return statement.on_conflict_do_nothing(index_elements=self._key)
        return statement.on_conflict_do_update(index_elements=self._key, set_=others)


def _keys(connection: Connection, table: Table) -> list[set[str | None]]:
    """Return the columns of what is unique in a table."""
    looked = inspect(connection)
    found: list[set[str | None]] = [set(table.primary_key.columns.keys())]
    found += [set(each["column_names"]) for each in looked.get_unique_constraints(table.name, schema=table.schema)]
    indexes = looked.get_indexes(table.name, schema=table.schema)
    return found + [set(each["column_names"]) for each in indexes if each["unique"]]


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an insert that knows what to do on a conflict."""
    return (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(table)


@contextmanager
def writing(name: str, context: ItemContext) -> Iterator[Connection]:
    """Hold a writing transaction on a connection, with our own tables there.

    Raises ConnectionMissing, InvalidStatement, DatabaseFailed.
    """
    if not is_writable(name):
        raise ConnectionMissing(f"{name} is read-only: {VARIABLE}{name}{WRITABLE}=1 is not set on this worker.")
    try:
        _prepare(name, url_of(name))
        with connected(name, TIMEOUT, lambda: context.is_canceled) as connection:
            yield connection
    except StatementError as error:
        raise database_failure(error) from None


@lru_cache
def _prepare(name: str, url: URL) -> None:
    """Make our tables, once a worker and database, in a transaction of their own; forget values that are old."""
    with connected(name, TIMEOUT, lambda: False) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:ours)"), {"ours": OUR_LOCK})
        _ours.create_all(connection)
        connection.execute(delete(VALUES).where(VALUES.c.at < (datetime.now(UTC) - REMEMBERED).isoformat()))
