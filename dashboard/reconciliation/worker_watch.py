"""Worker watch: each web process looks at the workers' heartbeats, by which it knows their clocks when it is asked."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from dashboard.temporal import gateway
from orchestration.temporal.connection import TemporalUnavailable

LOOK_EVERY = 2.0
"""Seconds."""


async def run_worker_watch() -> None:
    """Look for as long as the web process lives."""
    while True:
        with suppress(TemporalUnavailable):
            await gateway().see_workers()
        await asyncio.sleep(LOOK_EVERY)
