"""csv_import: rows are checked against a schema, and what passes is put into a table of a configured database.

Two stages, each a processor. Beside the table stand two of our own, so that a row that is done again, and one that is
taken out again, is known for what it was: `canopy_imports` and `canopy_import_values`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from weakref import WeakSet

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from sqlalchemy import Column as TableColumn
from sqlalchemy import Connection, Engine, MetaData, Table, Text, bindparam, cast, delete, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import NoSuchTableError, StatementError
from sqlalchemy.types import NullType

from orchestration.processors.columns import Column, as_json, parse_columns, read_row
from orchestration.processors.databases import NAME, VARIABLE, WRITABLE, ConnectionMissing, connected, is_writable
from orchestration.processors.registry import ItemContext, processor
from orchestration.processors.sql_query import DatabaseFailed, InvalidStatement, database_failure, plain

TABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")
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


class RejectedRow(Exception):
    """A row that the schema does not let through: every reason."""


class InvalidTable(Exception):
    """The table is not there, or is not as the import needs it."""


class Row(BaseModel):
    """One row; columns that the schema does not name are left out."""

    model_config = ConfigDict(extra="allow")


class ImportParameters(BaseModel):
    """What rows have to be like, and where they go."""

    model_config = ConfigDict(extra="forbid")

    connection: str = Field(
        title="Connection",
        max_length=100,
        description=f"The name of one that the installation configures and lets work write through, such as SHOP for "
        f"{VARIABLE}SHOP with {VARIABLE}SHOP{WRITABLE}.",
    )
    table: str = Field(title="Table", max_length=200, description="Its name, or schema.name.")
    columns: dict[str, str] = Field(
        title="Columns",
        min_length=1,
        max_length=200,
        description="One a line: name: type, required, unique, from … to …, pattern …. Types: text, integer, decimal, "
        "boolean, date, datetime. The pattern comes last; the range of text is its length. Other columns of the file "
        "are left out.",
        json_schema_extra={
            "placeholder": "id: integer\nemail: text, required, unique, pattern .+@.+\namount: decimal, from 0 to 10000"
        },
    )
    key: str = Field(
        title="Key columns",
        min_length=1,
        max_length=1000,
        description="By which a row is known, with commas between: one that is there already is changed.",
    )

    @field_validator("connection")
    @classmethod
    def _is_a_name(cls, given: str) -> str:
        if not NAME.fullmatch(given):
            raise ValueError("This is not the name of a connection, such as SHOP.")
        return given

    @field_validator("table")
    @classmethod
    def _is_a_table(cls, given: str) -> str:
        if not TABLE.fullmatch(given):
            raise ValueError("This is not the name of a table.")
        return given

    @field_validator("columns")
    @classmethod
    def _can_be_read(cls, given: dict[str, str]) -> dict[str, str]:
        parse_columns(given)
        return given

    @field_validator("key")
    @classmethod
    def _has_columns(cls, given: str, info: ValidationInfo) -> str:
        unknown = [name for name in _names(given) if name not in info.data.get("columns", _names(given))]
        if unknown or not _names(given):
            raise ValueError(f"The key needs columns of the schema; not {', '.join(unknown) or 'nothing'}.")
        return given

    @cached_property
    def schema_columns(self) -> tuple[Column, ...]:
        """The columns, the key's required."""
        return parse_columns(
            {name: f"required, {said}" if name in self.key_columns else said for name, said in self.columns.items()}
        )

    @cached_property
    def key_columns(self) -> list[str]:
        """The names of the key's columns."""
        return _names(self.key)


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


class Upserted(BaseModel):
    """What became of a row: "inserted" or "updated", and its key."""

    action: str
    key: str


# Validate


@processor(
    name="csv_import",
    title="CSV import",
    summary="Check rows against a schema of columns, then put what passes into a table of a configured database.",
    non_retryable=(RejectedRow, ConnectionMissing, InvalidTable, InvalidStatement),
    icon="table-cells",
    example="id,email,amount\n1,ann@example.org,10.50\n2,bob@example.org,7\n3,nobody,-1",
    example_format="csv",
    default_plan={"chunk_size": 200, "item_attempts": 3},
    together=200,
    then="csv_upsert",
)
def validate_rows(rows: list[Row], parameters: ImportParameters, contexts: list[ItemContext]) -> list[dict[str, Any]]:
    """Return rows as the schema reads them, or why it rejects them."""
    read = [read_row(parameters.schema_columns, row.model_dump()) for row in rows]
    unique = [column.name for column in parameters.schema_columns if column.unique]
    if unique:
        with _writing(parameters, contexts[0]) as connection:
            for (row, reasons), context in zip(read, contexts, strict=True):
                if not reasons:
                    reasons += _seen_before(connection, row, unique, context)
    found: list[Any] = [
        RejectedRow("; ".join(reasons)) if reasons else {name: as_json(value) for name, value in row.items()}
        for row, reasons in read
    ]
    return found


def _seen_before(
    connection: Connection, row: Mapping[str, Any], names: Sequence[str], context: ItemContext
) -> Iterator[str]:
    """Take note of a row's values in unique columns, and yield which of them an earlier row has."""
    for name in names:
        if row[name] is None:
            continue
        taken = {"batch": context.batch, "name": name, "value": str(row[name])}
        given = taken | {"item": str(context.index), "at": datetime.now(UTC).isoformat()}
        connection.execute(_insert(connection, VALUES).values(**given).on_conflict_do_nothing())
        first = connection.execute(select(VALUES.c.item).filter_by(**taken)).scalar_one()
        if first != str(context.index):
            yield f"{name}: {row[name]} is that of item {int(first) + 1:,}, too"


# Upsert


async def take_out(row: Row, parameters: ImportParameters, result: Any, context: ItemContext) -> None:
    """Take a row out of the table again, or put back what had been there."""
    await asyncio.to_thread(_take_out, parameters, context)


def _take_out(parameters: ImportParameters, context: ItemContext) -> None:
    with _writing(parameters, context) as connection:
        work = IMPORTS.c.work == _work(context)
        known = connection.execute(select(IMPORTS.c.row_key, IMPORTS.c.before).where(work)).first()
        if known is None:
            return  # taken out before
        target = _Target.of(connection, parameters)
        if known.before is None:
            connection.execute(target.delete(json.loads(known.row_key)))
        else:
            connection.execute(target.upsert(json.loads(known.before)))
        connection.execute(delete(IMPORTS).where(work))


@processor(
    name="csv_upsert",
    title="Upsert into a table",
    summary="Put each row into a table of a configured database, or change the one with its key. "
    "The second stage of an import.",
    non_retryable=(RejectedRow, ConnectionMissing, InvalidTable, InvalidStatement),
    compensation=take_out,
    icon="table-cells",
    example="id,email\n1,ann@example.org",
    example_format="csv",
    default_plan={"chunk_size": 200},
    together=200,
)
def upsert_rows(rows: list[Row], parameters: ImportParameters, contexts: list[ItemContext]) -> list[Upserted]:
    """Put rows into the table in one transaction; one that the database refuses does not keep the others out."""
    found: list[Any] = []
    with _writing(parameters, contexts[0]) as connection:
        target = _Target.of(connection, parameters)
        for row, context in zip(rows, contexts, strict=True):
            try:
                with connection.begin_nested():
                    found.append(_upsert(connection, target, parameters, row.model_dump(), context))
            except (StatementError, RejectedRow) as error:
                found.append(database_failure(error) if isinstance(error, StatementError) else error)
                if isinstance(found[-1], DatabaseFailed):
                    raise found[-1] from None
    return found


def _work(context: ItemContext) -> str:
    """Name a row's import, the same for what does it and for what undoes it."""
    return f"{context.batch}/{context.index}"


def _upsert(
    connection: Connection, target: _Target, parameters: ImportParameters, data: Mapping[str, Any], context: ItemContext
) -> Upserted:
    row, reasons = read_row(parameters.schema_columns, data)
    if reasons:
        raise RejectedRow("; ".join(reasons))
    values = {name: as_json(value) for name, value in row.items()}
    key = {name: values[name] for name in parameters.key_columns}
    work = _work(context)
    known = connection.execute(select(IMPORTS.c.before).where(IMPORTS.c.work == work)).first()
    if known is None:
        before = connection.execute(target.select(key)).mappings().first()
        was = json.dumps({name: plain(value) for name, value in before.items()}) if before is not None else None
        connection.execute(IMPORTS.insert().values(work=work, row_key=json.dumps(key), before=was))
    else:
        was = known.before
    connection.execute(target.upsert(values))
    return Upserted(action="inserted" if was is None else "updated", key=", ".join(str(each) for each in key.values()))


class _Target:
    """The table that rows go into, and the statements on it. Values are data that JSON can hold."""

    def __init__(self, table: Table, key: Sequence[str], *, typed: bool) -> None:
        self._table, self._key, self._typed = table, key, typed

    @classmethod
    def of(cls, connection: Connection, parameters: ImportParameters) -> _Target:
        """Look at the table. Raises InvalidTable."""
        schema, _, name = parameters.table.rpartition(".")
        try:
            table = Table(name, MetaData(), schema=schema or None, autoload_with=connection)
        except NoSuchTableError:
            raise InvalidTable(f"There is no table {parameters.table}.") from None
        missing = [each for each in parameters.columns if each not in table.c]
        if missing:
            raise InvalidTable(f"{parameters.table} has no column {', '.join(missing)}.")
        keys: list[set[str | None]] = [set(table.primary_key.columns.keys())]
        looked = inspect(connection)
        keys += [set(each["column_names"]) for each in looked.get_unique_constraints(name, schema=schema or None)]
        keys += [
            set(each["column_names"]) for each in looked.get_indexes(name, schema=schema or None) if each["unique"]
        ]
        if set(parameters.key_columns) not in keys:
            raise InvalidTable(f"{parameters.table} has no primary key or unique index over {parameters.key}.")
        if connection.dialect.name == "postgresql":
            return cls(table, parameters.key_columns, typed=True)
        plain_columns = [TableColumn(each, NullType()) for each in table.c.keys()]  # noqa: SIM118  no mapping
        return cls(Table(name, MetaData(), *plain_columns, schema=schema or None), parameters.key_columns, typed=False)

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


def _insert(connection: Connection, table: Table) -> Any:
    return (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(table)


@contextmanager
def _writing(parameters: ImportParameters, context: ItemContext) -> Iterator[Connection]:
    """Hold a writing transaction on the connection, with our own tables there.

    Raises ConnectionMissing, InvalidStatement, DatabaseFailed.
    """
    name = parameters.connection
    if not is_writable(name):
        raise ConnectionMissing(
            f"{name} is for reading alone: {VARIABLE}{name}{WRITABLE}=1 is not set where this worker runs."
        )
    try:
        with connected(name, TIMEOUT, lambda: context.is_canceled) as connection:
            _prepare(connection)
            yield connection
    except StatementError as error:
        raise database_failure(error) from None


_prepared: WeakSet[Engine] = WeakSet()


def _prepare(connection: Connection) -> None:
    """Make our tables, once a worker and database, and forget values that are old."""
    if connection.engine in _prepared:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:ours)"), {"ours": OUR_LOCK})
    _ours.create_all(connection)
    connection.execute(delete(VALUES).where(VALUES.c.at < (datetime.now(UTC) - REMEMBERED).isoformat()))
    _prepared.add(connection.engine)
