"""The doorbell: a channel message without content that tells consumers to look for newer rows."""

from __future__ import annotations

import secrets

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from dashboard.live.deltas import log
from dashboard.models import Batch


def ring_viewers(batch: Batch) -> None:
    """Tell who looks at a batch that it has changed."""
    async_to_sync(ring)(batch.pk)


LIST_GROUP = "batches"


def group_of(batch_id: str) -> str:
    """Return the channel group of a batch's viewers."""
    return f"batch-{batch_id}"


async def ring(batch_id: str) -> None:
    """Tell the viewers of a batch, and those of the list, that something changed. Call from the ASGI loop.

    Never fails: without a bell they look once a second.
    """
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        bell = {"type": "batch.changed", "bell": secrets.token_hex(4)}
        await layer.group_send(group_of(batch_id), bell)
        await layer.group_send(LIST_GROUP, bell)
    except Exception as error:
        log.warning("No bell for batch %s: %s", batch_id, error)
