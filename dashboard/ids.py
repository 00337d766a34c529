"""Ids of rows that people see: short, random, and fit for workflow ids and URLs."""

from __future__ import annotations

import secrets


def new_id() -> str:
    """Return 12 hexadecimal digits."""
    return secrets.token_hex(6)
