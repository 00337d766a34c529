"""The doorbell: a channel message without content, on which consumers look for newer rows. The only group_send."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from datetime import datetime

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

log = logging.getLogger(__name__)

LIST_GROUP = "batches"

RING_TIMEOUT = 1.0
"""Seconds for one notification: whoever reports a change waits for it."""

SILENCE = 5.0
"""Seconds without further tries after one that failed."""


class _Silence:
    """Until when no notification is tried."""

    until = 0.0


_silence = _Silence()


def group_of(batch_id: str) -> str:
    """Return the channel group of a batch's viewers."""
    return f"batch-{batch_id}"


async def announce_change(batch_id: str) -> None:
    """Notify the viewers of a batch, and those of the list, that it has changed. Call it on the ASGI event loop.

    Never raises: a viewer whose notification is lost polls once a second.
    """
    layer = get_channel_layer()
    if layer is None or time.monotonic() < _silence.until:
        return
    try:
        bell = {"type": "batch.changed", "bell": secrets.token_hex(4)}
        async with asyncio.timeout(RING_TIMEOUT):
            await layer.group_send(group_of(batch_id), bell)
            await layer.group_send(LIST_GROUP, bell)
    except Exception as error:
        _silence.until = time.monotonic() + SILENCE
        log.warning("No change notifications for %s s, batch %s was the last: %r", SILENCE, batch_id, error)


def late_since() -> datetime | None:
    """Return since when notifications of other processes do not arrive, so that viewers are only polled."""
    since: datetime | None = getattr(get_channel_layer(), "away_since", None)
    return since


def announce_change_from_thread(batch_id: str) -> None:
    """Do the same from a thread without an event loop."""
    async_to_sync(announce_change)(batch_id)
