"""Tables of an import: the target, and two of Canopy's own in the same database.

`canopy_imports` holds each row's previous state, for retries and rollbacks; `canopy_import_values` the values of unique
columns.
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

from orchestration.processors.data.connections import (
    CONNECTION_PREFIX,
    WRITABLE_SUFFIX,
    ConnectionMissing,
    InvalidTable,
    is_writable,
)
from orchestration.processors.data.databases import connection_url, database_failure, transaction
from orchestration.processors.processor import ItemContext

STATEMENT_TIMEOUT = 60.0
"""Seconds per statement."""

ADVISORY_LOCK = 0xCA0B
"""Key of the PostgreSQL advisory lock that keeps two workers from creating the tables at once."""

UNIQUE_VALUES_KEPT = timedelta(days=30)
"""How long values of unique columns are kept. Retries of older batches no longer detect duplicates."""

_metadata = MetaData()
IMPORTED_ROWS = Table(
    "canopy_imports",
    _metadata,
    TableColumn("work", Text, primary_key=True, comment="the batch and the index of the item"),
    TableColumn("row_key", Text, nullable=False),
    TableColumn("before", Text, comment="the row as it was, as JSON; NULL where there was none"),
)
UNIQUE_VALUES = Table(
    "canopy_import_values",
    _metadata,
    TableColumn("batch", Text, primary_key=True),
    TableColumn("name", Text, primary_key=True),
    TableColumn("value", Text, primary_key=True),
    TableColumn("item", Text, nullable=False),
    TableColumn("at", Text, nullable=False),
)


class Target:
    """The table that rows are imported into, and the statements on it. Values are JSON-able data."""

    def __init__(self, table: Table, key: Sequence[str], *, is_postgresql: bool) -> None:
        self._table, self._key, self._is_postgresql = table, key, is_postgresql

    @classmethod
    def reflect(cls, connection: Connection, name: str, columns: Sequence[str], key: Sequence[str]) -> Target:
        """Read a table (name or schema.name) from the database. Raises InvalidTable if columns or key do not match."""
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
            return cls(table, key, is_postgresql=True)
        plain_columns = [TableColumn(each, NullType()) for each in table.c.keys()]  # noqa: SIM118  not a mapping
        return cls(Table(own, MetaData(), *plain_columns, schema=schema or None), key, is_postgresql=False)

    def _value(self, name: str, value: Any) -> Any:
        """Return a value for a column: PostgreSQL casts it from text to the column's type, SQLite needs no cast."""
        if not self._is_postgresql or value is None:
            return value
        literal = value if isinstance(value, str) else json.dumps(value)
        return cast(bindparam(None, literal, Text), self._table.c[name].type)

    def _matches(self, key: Mapping[str, Any]) -> list[Any]:
        return [self._table.c[name] == self._value(name, value) for name, value in key.items()]

    def select(self, key: Mapping[str, Any]) -> Any:
        """Return the statement that selects the row with a key, and locks it on PostgreSQL."""
        found = select(self._table).where(*self._matches(key))
        return found.with_for_update() if self._is_postgresql else found

    def delete(self, key: Mapping[str, Any]) -> Any:
        """Return the statement that deletes the row with a key."""
        return delete(self._table).where(*self._matches(key))

    def upsert(self, values: Mapping[str, Any]) -> Any:
        """Return the statement that inserts a row, or updates the one with its key."""
        given = {name: self._value(name, value) for name, value in values.items()}
        statement = (postgresql.insert if self._is_postgresql else sqlite.insert)(self._table).values(given)
        others = {name: statement.excluded[name] for name in given if name not in self._key}
        if not others:
            return statement.on_conflict_do_nothing(index_elements=self._key)
        return statement.on_conflict_do_update(index_elements=self._key, set_=others)


def _keys(connection: Connection, table: Table) -> list[set[str | None]]:
    """Return the columns of a table's primary key, unique constraints and unique indexes."""
    inspector = inspect(connection)
    found: list[set[str | None]] = [set(table.primary_key.columns.keys())]
    found += [set(each["column_names"]) for each in inspector.get_unique_constraints(table.name, schema=table.schema)]
    indexes = inspector.get_indexes(table.name, schema=table.schema)
    return found + [set(each["column_names"]) for each in indexes if each["unique"]]


def insert_into(connection: Connection, table: Table) -> Any:
    """Return an insert of the connection's dialect, which supports ON CONFLICT."""
    return (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(table)


@contextmanager
def write_transaction(name: str, context: ItemContext) -> Iterator[Connection]:
    """Open a transaction on a writable connection, with Canopy's own tables created.

    Raises ConnectionMissing, InvalidStatement, DatabaseFailed.
    """
    if not is_writable(name):
        raise ConnectionMissing(
            f"{name} is read-only: {CONNECTION_PREFIX}{name}{WRITABLE_SUFFIX}=1 is not set on this worker."
        )
    try:
        create_tables(name, connection_url(name))
        with transaction(name, STATEMENT_TIMEOUT, lambda: context.is_canceled) as connection:
            yield connection
    except StatementError as error:
        raise database_failure(error) from None


@lru_cache
def create_tables(name: str, url: URL) -> None:
    """Create Canopy's tables, once per worker and database, and delete expired unique values."""
    with transaction(name, STATEMENT_TIMEOUT, lambda: False) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        _metadata.create_all(connection)
        connection.execute(
            delete(UNIQUE_VALUES).where(UNIQUE_VALUES.c.at < (datetime.now(UTC) - UNIQUE_VALUES_KEPT).isoformat())
        )
