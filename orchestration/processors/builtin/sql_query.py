"""sql_query: runs one parameterised statement for each item, on a database that the installation configures."""

from __future__ import annotations

import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from orchestration.processors.data.connections import (
    CONNECTION_PREFIX,
    ConnectionMissing,
    ConnectionName,
    InvalidStatement,
    RoleTooPowerful,
)
from orchestration.processors.form_hints import DURATION
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.processors.templating import Fields


class QueryParameters(BaseModel):
    """What is asked of which database."""

    model_config = ConfigDict(extra="forbid")

    connection: ConnectionName = Field(
        description=f"Name of a configured connection, such as SHOP for {CONNECTION_PREFIX}SHOP."
    )
    statement: str = Field(
        title="Statement",
        min_length=1,
        max_length=20_000,
        description="One statement, with item fields as :name. They are passed as bound parameters, never inserted "
        "into the text.",
        json_schema_extra={"widget": "textarea"},
    )
    rows_kept: int = Field(
        default=10, ge=0, le=1_000, title="Rows kept", description="Rows of the statement's result that are kept."
    )
    timeout: float = Field(
        default=30,
        gt=0,
        le=3_600,
        title="Time limit",
        description="How long one statement may take.",
        json_schema_extra=DURATION,
    )


class QueryResult(BaseModel):
    """Number of rows returned or changed, the first `rows_kept` of them, and the duration in seconds."""

    row_count: int
    rows: list[dict[str, Any]]
    seconds: float


@processor(
    own_loop=False,
    name="sql_query",
    title="SQL query",
    summary="Run one parameterised statement for each item against a configured database.",
    non_retryable=(ConnectionMissing, InvalidStatement, RoleTooPowerful),
    icon="circle-stack",
    example="id\n17\n18",
    example_format="csv",
    default_plan={"chunk_size": 20},
)
def sql_query(item: Fields, parameters: QueryParameters, context: ItemContext) -> QueryResult:
    """Run the statement with the item's fields.

    Raises ConnectionMissing, RoleTooPowerful, InvalidStatement, DatabaseFailed.
    """
    from orchestration.processors.data.databases import run_statement  # on first use: SQLAlchemy

    started = time.monotonic()
    count, rows = run_statement(
        parameters.connection,
        parameters.statement,
        context.fields(item),
        rows_kept=parameters.rows_kept,
        seconds=parameters.timeout,
        is_canceled=lambda: context.is_canceled,
    )
    return QueryResult(row_count=count, rows=rows, seconds=round(time.monotonic() - started, 3))
