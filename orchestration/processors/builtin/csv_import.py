"""csv_import: validates rows against a schema, then upserts the valid ones into a table of a configured database.

The two stages are processors of their own. `data.import_rows` is imported on first use, because of SQLAlchemy.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from orchestration.processors.data.connections import ConnectionMissing, InvalidStatement, InvalidTable
from orchestration.processors.data.import_parameters import ImportParameters, RejectedRow, Upserted
from orchestration.processors.data.json_values import as_json
from orchestration.processors.data.row_schema import read_row
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.processors.templating import Fields
from orchestration.processors.threads import processor_threads

# Validate


@processor(
    own_loop=False,
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
) -> list[dict[str, Any] | RejectedRow]:
    """Return each row converted by the schema, or a RejectedRow with the reasons."""
    read = [read_row(parameters.schema_columns, row.model_dump()) for row in rows]
    unique = [column.name for column in parameters.schema_columns if column.unique]
    if unique:
        from orchestration.processors.data.import_rows import reject_repeated

        reject_repeated(read, unique, parameters, contexts)
    return [RejectedRow("; ".join(reasons)) if reasons else as_json(row) for row, reasons in read]


# Upsert


async def undo_upsert(row: Fields, parameters: ImportParameters, result: Any, context: ItemContext) -> None:
    """Delete an inserted row, or restore an updated one."""
    await processor_threads().run("csv_upsert", partial(_restore_row, parameters, context), context.waiting)


def _restore_row(parameters: ImportParameters, context: ItemContext) -> None:
    from orchestration.processors.data.import_rows import restore_row

    restore_row(parameters, context)


@processor(
    own_loop=False,
    name="csv_upsert",
    title="Upsert into a table",
    summary="Insert each row into a table of a configured database, or update the row with its key. The second stage "
    "of an import.",
    non_retryable=(RejectedRow, ConnectionMissing, InvalidTable, InvalidStatement),
    compensation=undo_upsert,
    icon="table-cells",
    example="id,email\n1,ann@example.org",
    example_format="csv",
    default_plan={"chunk_size": 200},
    together=200,
)
def upsert_rows(rows: list[Fields], parameters: ImportParameters, contexts: list[ItemContext]) -> list[Upserted]:
    """Upsert rows in one transaction; one that the database rejects does not affect the others."""
    from orchestration.processors.data.import_rows import upsert

    return upsert(rows, parameters, contexts)
