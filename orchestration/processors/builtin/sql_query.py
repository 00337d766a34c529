"""sql_query: one parameterised statement an item, against a connection that the installation configures."""

from __future__ import annotations

import base64
import time
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import text
from sqlalchemy.exc import StatementError

from orchestration.processors.data.databases import (
    VARIABLE,
    ConnectionMissing,
    ConnectionName,
    InvalidStatement,
    connected,
    database_failure,
)
from orchestration.processors.registry import ItemContext, processor
from orchestration.processors.templating import Fields


class QueryParameters(BaseModel):
    """What is asked of which database."""

    model_config = ConfigDict(extra="forbid")

    connection: ConnectionName = Field(description=f"Name of a configured connection, such as SHOP for {VARIABLE}SHOP.")
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
    timeout: float = Field(default=30, gt=0, le=3_600, title="Time limit", description="Seconds per statement.")


class QueryResult(BaseModel):
    """What came back: how many rows there were or were changed, the first of them, and the seconds it took."""

    row_count: int
    rows: list[dict[str, Any]]
    seconds: float


@processor(
    name="sql_query",
    title="SQL query",
    summary="Run one parameterised statement for each item against a configured database.",
    non_retryable=(ConnectionMissing, InvalidStatement),
    icon="circle-stack",
    example="id\n17\n18",
    example_format="csv",
    default_plan={"chunk_size": 20},
)
def sql_query(item: Fields, parameters: QueryParameters, context: ItemContext) -> QueryResult:
    """Run the statement with the item's fields."""
    started = time.monotonic()
    fields = context.fields(item)
    try:
        with connected(parameters.connection, parameters.timeout, lambda: context.is_canceled) as connection:
            answer = connection.execute(text(parameters.statement), fields)
            rows, count = list[dict[str, Any]](), answer.rowcount
            if answer.returns_rows:
                count = 0
                for row in answer:
                    count += 1
                    if len(rows) < parameters.rows_kept:
                        rows.append({str(name): plain(value) for name, value in row._mapping.items()})
    except StatementError as error:
        raise database_failure(error) from None  # its own words hold the statement with all values
    return QueryResult(row_count=max(0, count), rows=rows, seconds=round(time.monotonic() - started, 3))


def plain(value: Any) -> Any:
    """Return a value of a database as JSON can hold it."""
    if isinstance(value, datetime | date | time_of_day):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | timedelta):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return {str(name): plain(each) for name, each in value.items()} if isinstance(value, dict) else value
