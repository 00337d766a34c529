"""csv_import: rows are checked against a schema, and what passes is put into a table of a configured database.

Two stages, each a processor.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import StatementError

from orchestration.processors.builtin.sql_query import plain
from orchestration.processors.data.databases import (
    VARIABLE,
    WRITABLE,
    ConnectionMissing,
    ConnectionName,
    DatabaseFailed,
    InvalidStatement,
    database_failure,
)
from orchestration.processors.data.import_tables import IMPORTS, VALUES, InvalidTable, Target, insert_into, writing
from orchestration.processors.data.row_schema import Column, as_json, parse_columns, read_row
from orchestration.processors.registry import ItemContext, processor
from orchestration.processors.templating import Fields

TABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")


class RejectedRow(Exception):
    """A row that the schema does not let through: every reason."""


class ImportParameters(BaseModel):
    """What rows have to be like, and where they go."""

    model_config = ConfigDict(extra="forbid")

    connection: ConnectionName = Field(
        description=f"Name of a configured connection with write access, such as SHOP for {VARIABLE}SHOP with "
        f"{VARIABLE}SHOP{WRITABLE}.",
    )
    table: str = Field(title="Table", max_length=200, description="Name, or schema.name.")
    columns: dict[str, str] = Field(
        title="Columns",
        min_length=1,
        max_length=200,
        description="One per line: name: type, required, unique, from … to …, pattern …. Types: text, integer, "
        "decimal, boolean, date, datetime. The pattern comes last; the range of text is its length. "
        "Other columns of the file are ignored.",
        json_schema_extra={
            "placeholder": "id: integer\nemail: text, required, unique, pattern .+@.+\namount: decimal, from 0 to 10000"
        },
    )
    key: str = Field(
        title="Key columns",
        min_length=1,
        max_length=1000,
        description="Columns that identify a row, separated by commas; an existing row is updated.",
    )

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
            raise ValueError(f"Key columns must be columns of the schema, not {', '.join(unknown) or 'nothing'}.")
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
    summary="Check rows against a schema of columns, then upsert the valid ones into a table of a configured database.",
    non_retryable=(RejectedRow, ConnectionMissing, InvalidTable, InvalidStatement),
    icon="table-cells",
    example="id,email,amount\n1,ann@example.org,10.50\n2,bob@example.org,7\n3,nobody,-1",
    example_format="csv",
    default_plan={"chunk_size": 200, "item_attempts": 3},
    together=200,
    then="csv_upsert",
)
def validate_rows(
    rows: list[Fields], parameters: ImportParameters, contexts: list[ItemContext]
) -> list[dict[str, Any]]:
    """Return rows as the schema reads them, or why it rejects them."""
    read = [read_row(parameters.schema_columns, row.model_dump()) for row in rows]
    unique = [column.name for column in parameters.schema_columns if column.unique]
    if unique:
        with writing(parameters.connection, contexts[0]) as connection:
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
        connection.execute(insert_into(connection, VALUES).values(**given).on_conflict_do_nothing())
        first = connection.execute(select(VALUES.c.item).filter_by(**taken)).scalar_one()
        if first != str(context.index):
            yield f"{name}: {row[name]} is already used by item {int(first) + 1:,}"


# Upsert


async def take_out(row: Fields, parameters: ImportParameters, result: Any, context: ItemContext) -> None:
    """Take a row out of the table again, or put back what had been there."""
    await asyncio.to_thread(_take_out, parameters, context)


def _take_out(parameters: ImportParameters, context: ItemContext) -> None:
    with writing(parameters.connection, context) as connection:
        work = IMPORTS.c.work == _work(context)
        known = connection.execute(select(IMPORTS.c.row_key, IMPORTS.c.before).where(work)).first()
        if known is None:
            return  # taken out before
        target = _target(connection, parameters)
        if known.before is None:
            connection.execute(target.delete(json.loads(known.row_key)))
        else:
            connection.execute(target.upsert(json.loads(known.before)))
        connection.execute(delete(IMPORTS).where(work))


@processor(
    name="csv_upsert",
    title="Upsert into a table",
    summary="Insert each row into a table of a configured database, or update the row with its key. The second stage "
    "of an import.",
    non_retryable=(RejectedRow, ConnectionMissing, InvalidTable, InvalidStatement),
    compensation=take_out,
    icon="table-cells",
    example="id,email\n1,ann@example.org",
    example_format="csv",
    default_plan={"chunk_size": 200},
    together=200,
)
def upsert_rows(rows: list[Fields], parameters: ImportParameters, contexts: list[ItemContext]) -> list[Upserted]:
    """Put rows into the table in one transaction; one that the database refuses does not keep the others out."""
    found: list[Any] = []
    with writing(parameters.connection, contexts[0]) as connection:
        target = _target(connection, parameters)
        for row, context in zip(rows, contexts, strict=True):
            try:
                with connection.begin_nested():
                    found.append(_upsert(connection, target, parameters, row.model_dump(), context))
            except (StatementError, RejectedRow) as error:
                found.append(database_failure(error) if isinstance(error, StatementError) else error)
                if isinstance(found[-1], DatabaseFailed):
                    raise found[-1] from None
    return found


def _target(connection: Connection, parameters: ImportParameters) -> Target:
    return Target.of(connection, parameters.table, list(parameters.columns), parameters.key_columns)


def _work(context: ItemContext) -> str:
    """Name a row's import, the same for what does it and for what undoes it."""
    return f"{context.batch}/{context.index}"


def _upsert(
    connection: Connection, target: Target, parameters: ImportParameters, data: Mapping[str, Any], context: ItemContext
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
