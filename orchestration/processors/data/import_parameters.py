"""Parameters, results and rejections of imports into a table."""

from __future__ import annotations

import re
from functools import cached_property

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from orchestration.processors.credentials import NAMES_ONLY
from orchestration.processors.data.connections import CONNECTION_PREFIX, WRITABLE_SUFFIX, ConnectionName
from orchestration.processors.data.row_schema import Column, parse_columns

TABLE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)?")


class RejectedRow(Exception):
    """The row does not match the schema; the message has every reason."""


class ImportParameters(BaseModel):
    """What rows have to be like, and where they go."""

    model_config = ConfigDict(extra="forbid")

    connection: ConnectionName = Field(
        description=f"Name of a configured connection with write access, such as SHOP for {CONNECTION_PREFIX}SHOP with "
        f"{CONNECTION_PREFIX}SHOP{WRITABLE_SUFFIX}.",
    )
    table: str = Field(title="Table", max_length=200, description="Name, or schema.name.")
    columns: dict[str, str] = Field(
        title="Columns",
        min_length=1,
        max_length=200,
        description="One per line: name: type, required, unique, from … to …, pattern …. Types: text, integer, "
        "decimal, boolean, date, datetime. The pattern comes last, as a regular expression without look-arounds and "
        "back-references; the range of text is its length. "
        "Other columns of the file are ignored.",
        json_schema_extra={
            "placeholder": "id: integer\nemail: text, required, unique, pattern .+@.+\n"
            "amount: decimal, from 0 to 10000",
            NAMES_ONLY: True,
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
    def _check_table(cls, given: str) -> str:
        if not TABLE.fullmatch(given):
            raise ValueError("This is not the name of a table.")
        return given

    @field_validator("columns")
    @classmethod
    def _check_columns(cls, given: dict[str, str]) -> dict[str, str]:
        parse_columns(given)
        return given

    @field_validator("key")
    @classmethod
    def _check_key(cls, given: str, info: ValidationInfo) -> str:
        unknown = [name for name in _names(given) if name not in info.data.get("columns", _names(given))]
        if unknown or not _names(given):
            raise ValueError(f"Key columns must be columns of the schema, not {', '.join(unknown) or 'nothing'}.")
        return given

    @cached_property
    def schema_columns(self) -> tuple[Column, ...]:
        """The columns of the schema; those of the key are required."""
        return parse_columns(
            {
                name: f"required, {definition}" if name in self.key_columns else definition
                for name, definition in self.columns.items()
            }
        )

    @cached_property
    def key_columns(self) -> list[str]:
        """Names of the key columns."""
        return _names(self.key)


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


class Upserted(BaseModel):
    """Result of a row: the `action`, "inserted" or "updated", and the row's key."""

    action: str
    key: str
