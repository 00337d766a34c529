"""Rows of an import: duplicate check, upsert, rollback. Imported on first use, as `databases` is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import StatementError

from orchestration.processors.data.connections import DatabaseFailed
from orchestration.processors.data.databases import database_failure
from orchestration.processors.data.import_parameters import ImportParameters, RejectedRow, Upserted
from orchestration.processors.data.import_tables import (
    IMPORTED_ROWS,
    UNIQUE_VALUES,
    Target,
    insert_into,
    write_transaction,
)
from orchestration.processors.data.json_values import as_json
from orchestration.processors.data.row_schema import read_row
from orchestration.processors.processor import ItemContext
from orchestration.processors.templating import Fields


def reject_repeated(
    read: Iterable[tuple[Mapping[str, Any], list[str]]],
    unique: Sequence[str],
    parameters: ImportParameters,
    contexts: Sequence[ItemContext],
) -> None:
    """Add a reason to each valid row for each value in a unique column that an earlier row of the batch has."""
    with write_transaction(parameters.connection, contexts[0]) as connection:
        for (row, reasons), context in zip(read, contexts, strict=True):
            if not reasons:
                reasons += _duplicates(connection, row, unique, context)


def _duplicates(
    connection: Connection, row: Mapping[str, Any], names: Sequence[str], context: ItemContext
) -> Iterator[str]:
    """Record a row's values in unique columns, and yield a reason for each that an earlier row has."""
    for name in names:
        if row[name] is None:
            continue
        value = {"batch": context.batch, "name": name, "value": str(row[name])}
        record = value | {"item": str(context.index), "at": datetime.now(UTC).isoformat()}
        connection.execute(insert_into(connection, UNIQUE_VALUES).values(**record).on_conflict_do_nothing())
        first = connection.execute(select(UNIQUE_VALUES.c.item).filter_by(**value)).scalar_one()
        if first != str(context.index):
            yield f"{name}: {row[name]} is already used by item {int(first) + 1:,}"


def upsert(rows: Sequence[Fields], parameters: ImportParameters, contexts: Sequence[ItemContext]) -> list[Any]:
    """Upsert rows in one transaction; return for each an Upserted, or the exception it was rejected with."""
    found: list[Any] = []
    with write_transaction(parameters.connection, contexts[0]) as connection:
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
    values = as_json(row)
    key = {name: values[name] for name in parameters.key_columns}
    work = _record_id(context)
    imported = connection.execute(select(IMPORTED_ROWS.c.before).where(IMPORTED_ROWS.c.work == work)).first()
    if imported is None:
        before = connection.execute(target.select(key)).mappings().first()
        previous = json.dumps(as_json(dict(before))) if before is not None else None
        connection.execute(IMPORTED_ROWS.insert().values(work=work, row_key=json.dumps(key), before=previous))
    else:
        previous = imported.before
    connection.execute(target.upsert(values))
    return Upserted(action="inserted" if previous is None else "updated", key=", ".join(map(str, key.values())))


def restore_row(parameters: ImportParameters, context: ItemContext) -> None:
    """Delete an inserted row, or restore an updated one. Idempotent."""
    with write_transaction(parameters.connection, context) as connection:
        work = IMPORTED_ROWS.c.work == _record_id(context)
        imported = connection.execute(select(IMPORTED_ROWS.c.row_key, IMPORTED_ROWS.c.before).where(work)).first()
        if imported is None:
            return  # already undone
        target = _target(connection, parameters)
        if imported.before is None:
            connection.execute(target.delete(json.loads(imported.row_key)))
        else:
            connection.execute(target.upsert(json.loads(imported.before)))
        connection.execute(delete(IMPORTED_ROWS).where(work))


def _target(connection: Connection, parameters: ImportParameters) -> Target:
    return Target.reflect(connection, parameters.table, list(parameters.columns), parameters.key_columns)


def _record_id(context: ItemContext) -> str:
    """Return the id under which the import of a row is recorded."""
    return f"{context.batch}/{context.index}"
