"""Addresses of websockets: their routes, and where a page connects."""

from __future__ import annotations

from urllib.parse import quote

from django.urls import get_script_prefix

BATCHES = "ws/batches/"
BATCH = BATCHES + "<str:batch_id>/"
"""Routes, as the site map would have them."""


def batches_address() -> str:
    """Return the path of the websocket that tells of all batches."""
    return get_script_prefix() + BATCHES


def batch_address(batch_id: str) -> str:
    """Return the path of the websocket that tells of one batch."""
    return f"{batches_address()}{quote(batch_id, safe='')}/"
