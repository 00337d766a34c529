"""Ids of rows that people see: short, random, readable in a workflow id and a URL."""

from __future__ import annotations

import secrets


def new_id() -> str:
    """Return 12 hexadecimal digits."""
    return secrets.token_hex(6)
