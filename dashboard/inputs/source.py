"""The source of an input: how to open it, its format, and where to start."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, BinaryIO

from dashboard.inputs.dialect import UTF_8, Dialect

ROW_NUMBER = "#"
"""The choice of key that numbers the rows."""


class Format(StrEnum):
    """How items are given."""

    COUNT = "count"
    LINES = "lines"
    CSV = "csv"
    JSONL = "jsonl"


class SourceError(Exception):
    """The input as a whole cannot be read; the message says why to a person."""


@dataclass(frozen=True)
class Position:
    """Where reading resumes: a byte of the file, the lines and rows before it, and what was found out by then.

    That is the columns, the key, and `dialect`: the fields of a Dialect, empty where nothing was read yet.
    """

    at: int = 0
    line: int = 0
    rows: int = 0
    columns: Sequence[str] = ()
    key: str = ""
    dialect: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """Input that can be opened repeatedly. `key` is a column, ROW_NUMBER, or empty for the default.

    `dialect` is what a person chose; the rest is detected.
    """

    format: Format
    open: Callable[[], BinaryIO] = io.BytesIO
    key: str = ""
    count: int = 0
    start: Position = field(default_factory=Position)
    dialect: Dialect = field(default_factory=Dialect)


def list_source(items: Sequence[Any], key: str = "") -> Source:
    """Return the source of a list of objects or plain values, as in a request to the API."""
    content = "".join(json.dumps(item) + "\n" for item in items).encode()
    return Source(Format.JSONL, lambda: io.BytesIO(content), key=key, dialect=Dialect(encoding=UTF_8))
