"""Hold: a parent starts nothing until a person decides, for at most as long as its plan says.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow


class Hold:
    """True while the parent is held. `changed` is called with a sentence when a hold begins or ends."""

    def __init__(self, limit: timedelta, changed: Callable[[str], None]) -> None:
        self.reason = ""
        self.until: datetime | None = None
        self.is_settled = False
        self._limit, self._changed = limit, changed
        self._clock: asyncio.Task[None] | None = None

    def __bool__(self) -> bool:
        """Whether it is held."""
        return bool(self.reason)

    def begin(self, reason: str) -> None:
        """Hold until somebody decides, or the time is up."""
        if self.reason:
            return
        self.reason, self.until = reason, workflow.now() + self._limit
        self._clock = asyncio.create_task(self._run_out())
        self._changed(reason)

    def end(self, note: str) -> None:
        """End the hold. The parent may be held again."""
        self.reason, self.until = "", None
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        self._changed(note)

    def settle(self, note: str) -> None:
        """End the hold for good: the parent is never held again."""
        self.is_settled = True
        self.end(note)

    async def _run_out(self) -> None:
        await workflow.sleep(self._limit)
        self._clock = None
        self.settle("No decision was made in time.")
