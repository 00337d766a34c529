"""Rows of an input, good and bad."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be launched: its line (from 1) and why."""

    line: int
    message: str


KEY_LIMIT = 200
"""Characters of a key."""


@dataclass(frozen=True)
class InputRow:
    """One good item of the input."""

    key: str
    data: Mapping[str, Any]
