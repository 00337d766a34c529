"""Sanitising of text and JSON for the database: no NUL, lone surrogates, NaN or infinity."""

from __future__ import annotations

import json
import math
from typing import Any

from django.db import DataError, OperationalError

_encode = json.JSONEncoder(allow_nan=False).encode  # json.dumps makes an encoder per call, which doubles the time


LIMITS_EXCEEDED = "54"
"""Beginning of the SQLSTATEs with which PostgreSQL says that a statement or a row is beyond its own limits."""

SQLITE_LIMITS = ("too complex", "tree is too large", "too many sql variables", "stack overflow", "too big")
"""Parts of SQLite's messages that say so."""


def is_unstorable(error: BaseException) -> bool:
    """Whether a database refused a value itself: NUL, half a character, or what is beyond its column or its limits."""
    if isinstance(error, OverflowError):
        return "SQLite INTEGER" in str(error)
    if isinstance(error, OperationalError):
        state, message = getattr(error.__cause__, "sqlstate", None), str(error).lower()
        return str(state).startswith(LIMITS_EXCEEDED) if state else any(part in message for part in SQLITE_LIMITS)
    return isinstance(error, DataError) or (isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason)


def storable(value: Any) -> Any:
    """Return a string or JSON value with everything replaced that SQLite or PostgreSQL refuses."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list | tuple):
        return [storable(entry) for entry in value]
    if isinstance(value, dict):
        return {text(str(name)): storable(entry) for name, entry in value.items()}
    return value


def json_text(value: Any) -> str:
    """Return a value as JSON text that both databases accept. Most values are encoded once and not sanitised."""
    try:
        encoded = _encode(value)
    except ValueError:
        return json.dumps(storable(value))
    is_doubtful = "\\u0000" in encoded or "\\ud" in encoded
    return json.dumps(storable(value)) if is_doubtful else encoded


def text(value: str) -> str:
    """Return text with NUL and lone surrogates replaced."""
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
