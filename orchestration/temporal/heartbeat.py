"""Heartbeats of a long activity while its work goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from temporalio import activity

HEARTBEAT_PERIOD = 3.0
"""Seconds: a third of the heartbeat timeout."""


@contextlib.asynccontextmanager
async def heartbeating() -> AsyncIterator[None]:
    """Heartbeat for as long as an activity waits for something."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_PERIOD)
            activity.heartbeat()

    heart = asyncio.create_task(beat())
    try:
        yield
    finally:
        heart.cancel()
