"""Heartbeats of a long activity while it works."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from temporalio import activity

HEARTBEAT_PERIOD = 3.0
"""Seconds: a third of the heartbeat timeout."""


async def _heartbeat() -> None:
    activity.heartbeat()


@contextlib.asynccontextmanager
async def heartbeating(beat: Callable[[], Awaitable[None]] = _heartbeat) -> AsyncIterator[None]:
    """Heartbeat every HEARTBEAT_PERIOD while the block runs. `beat` does it where details are to go with it."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_PERIOD)
            await beat()

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
