"""Rows of an import, put into their table and taken out again. Imported when the first is processed: see databases."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import StatementError

from orchestration.processors.data.connections import DatabaseFailed
from orchestration.processors.data.databases import database_failure, plain
from orchestration.processors.data.import_parameters import ImportParameters, RejectedRow, Upserted
from orchestration.processors.data.import_tables import IMPORTS, VALUES, Target, insert_into, writing
from orchestration.processors.data.row_schema import as_json, read_row
from orchestration.processors.processor import ItemContext
from orchestration.processors.templating import Fields


def reject_repeated(
    read: Iterable[tuple[Mapping[str, Any], list[str]]],
    unique: Sequence[str],
    parameters: ImportParameters,
    contexts: Sequence[ItemContext],
) -> None:
    """Add to the reasons of each row that has none yet which values in unique columns an earlier row has."""
    with writing(parameters.connection, contexts[0]) as connection:
        for (row, reasons), context in zip(read, contexts, strict=True):
            if not reasons:
                reasons += _seen_before(connection, row, unique, context)


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


def upsert(rows: Sequence[Fields], parameters: ImportParameters, contexts: Sequence[ItemContext]) -> list[Any]:
    """Put rows into the table in one transaction; return for each what became of it, or why it was refused."""
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


def undo_upsert(parameters: ImportParameters, context: ItemContext) -> None:
    """Take a row out of the table again, or put back what had been there."""
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


def _target(connection: Connection, parameters: ImportParameters) -> Target:
    return Target.of(connection, parameters.table, list(parameters.columns), parameters.key_columns)


def _work(context: ItemContext) -> str:
    """Name a row's import, the same for what does it and for what undoes it."""
    return f"{context.batch}/{context.index}"
