"""Places: how much one person or address has at work at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from dashboard.server.limits.refusals import TooManyRequests


class _Queue:
    """The places of one person or address."""

    def __init__(self, most: int) -> None:
        self.free = asyncio.Semaphore(most)
        self.users = 0


class Places:
    """Places by key, `most` at a time for each; a key is forgotten when the last that has or awaits a place leaves."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._queues: dict[str, _Queue] = {}

    def __len__(self) -> int:
        """Return how many keys have a place, or await one."""
        return len(self._queues)

    def users(self, key: str) -> int:
        """Return how many have a place of a key, or await one."""
        return queue.users if (queue := self._queues.get(key)) is not None else 0

    @asynccontextmanager
    async def taken(self, key: str, wait: float) -> AsyncIterator[None]:
        """Have a place, awaited for `wait` seconds at most. Raises TooManyRequests."""
        queue = self._queues.setdefault(key, _Queue(self._most()))
        queue.users += 1
        try:
            await _take(queue.free, wait)
            try:
                yield
            finally:
                queue.free.release()
        finally:
            queue.users -= 1
            if not queue.users:
                del self._queues[key]


async def _take(free: asyncio.Semaphore, wait: float) -> None:
    if not free.locked():
        await free.acquire()
        return
    if wait <= 0:
        raise TooManyRequests
    try:
        async with asyncio.timeout(wait):
            await free.acquire()
    except TimeoutError:
        raise TooManyRequests from None
