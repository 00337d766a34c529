"""csv_import: rows are checked against a schema, and what passes is put into a table of a configured database.

Two stages, each a processor. Their statements are in `data.import_rows`, which is imported for the first rows only.
"""

from __future__ import annotations

import asyncio
from typing import Any

from orchestration.processors.data.connections import ConnectionMissing, InvalidStatement, InvalidTable
from orchestration.processors.data.import_parameters import ImportParameters, RejectedRow, Upserted
from orchestration.processors.data.row_schema import as_json, read_row
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.processors.templating import Fields

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
        from orchestration.processors.data.import_rows import reject_repeated

        reject_repeated(read, unique, parameters, contexts)
    found: list[Any] = [
        RejectedRow("; ".join(reasons)) if reasons else {name: as_json(value) for name, value in row.items()}
        for row, reasons in read
    ]
    return found


# Upsert


async def take_out(row: Fields, parameters: ImportParameters, result: Any, context: ItemContext) -> None:
    """Take a row out of the table again, or put back what had been there."""
    await asyncio.to_thread(_take_out, parameters, context)


def _take_out(parameters: ImportParameters, context: ItemContext) -> None:
    from orchestration.processors.data.import_rows import undo_upsert

    undo_upsert(parameters, context)


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
    from orchestration.processors.data.import_rows import upsert

    return upsert(rows, parameters, contexts)
