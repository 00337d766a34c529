"""What a database can hold: text and JSON without NUL, lone surrogates, NaN or infinity."""

from __future__ import annotations

import math
from typing import Any


def storable(value: Any) -> Any:
    """Return a string or JSON value that SQLite and PostgreSQL both accept; what they refuse is replaced."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list | tuple):
        return [storable(entry) for entry in value]
    if isinstance(value, dict):
        return {text(str(name)): storable(entry) for name, entry in value.items()}
    return value


def text(value: str) -> str:
    """Return text with NUL and lone surrogates replaced."""
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
