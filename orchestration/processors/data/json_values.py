"""Values of databases and of column schemas as JSON-able data."""

from __future__ import annotations

import base64
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID


def as_json(value: Any) -> Any:
    """Return a value as JSON-able data; a column that reads the result returns the same value."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | timedelta):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    return {str(name): as_json(each) for name, each in value.items()} if isinstance(value, dict) else value
