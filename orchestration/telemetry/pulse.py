"""Pulse of the event loop: since when it has not run, as any thread may ask."""

from __future__ import annotations

import asyncio
import os
import time

BEAT_EVERY = 0.5

FROZEN_AFTER = float(os.environ.get("CANOPY_FROZEN_AFTER") or 30)
"""Seconds without a beat after which the process counts as frozen; 0: never. `make run` ends it after as many."""


class LoopPulse:
    """Beats while the event loop runs in which `beat_until_canceled` does."""

    def __init__(self) -> None:
        self._beaten_at = time.monotonic()

    async def beat_until_canceled(self) -> None:
        """Beat every BEAT_EVERY seconds."""
        while True:
            self._beaten_at = time.monotonic()
            await asyncio.sleep(BEAT_EVERY)

    @property
    def silence(self) -> float:
        """Seconds since the loop ought to have run."""
        return max(0.0, time.monotonic() - self._beaten_at - BEAT_EVERY)

    @property
    def is_frozen(self) -> bool:
        """Whether the loop stands still."""
        return bool(FROZEN_AFTER) and self.silence > FROZEN_AFTER
