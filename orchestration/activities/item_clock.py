"""ItemClock: the timeout of one attempt of an item, which stands still while the item waits for a slot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class ItemClock:
    """Async context manager that cancels its block after some seconds at work, and then raises TimeoutError.

    A block that ends later than that, whatever it returned or raised, has timed out as well: it may have kept the event
    loop from telling it, or may have ignored it.
    """

    def __init__(self, seconds: float) -> None:
        self.notes: tuple[str, ...] = ()
        self._limit, self._loop = asyncio.timeout(seconds), asyncio.get_running_loop()
        self._started = self._ended = self._loop.time()
        self._stops, self._left = 0, seconds
        self._is_over = self._has_ended = False

    @property
    def has_expired(self) -> bool:
        """Whether the time was over before the block had ended."""
        return self._is_over

    @property
    def seconds(self) -> float:
        """How long the block took, its waiting included."""
        return self._ended - self._started

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the clock while the block runs, in any thread."""
        self._loop.call_soon_threadsafe(self._stop) if self._is_elsewhere else self._stop()
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._go_on) if self._is_elsewhere else self._go_on()

    async def __aenter__(self) -> ItemClock:
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._ended, self._has_ended, until = self._loop.time(), True, self._limit.when()
        is_late = until is not None and self._ended > until
        self._is_over = self._limit.expired() or (is_late and not isinstance(error, asyncio.CancelledError))
        self.notes = tuple(getattr(error, "__notes__", ())) if self._is_over else ()
        await self._limit.__aexit__(kind, error, stack)
        if self._is_over and error is None:
            raise TimeoutError

    @property
    def _may_change(self) -> bool:
        return not self._has_ended and not self._limit.expired()

    @property
    def _is_elsewhere(self) -> bool:
        try:
            return asyncio.get_running_loop() is not self._loop
        except RuntimeError:
            return True

    def _stop(self) -> None:
        self._stops += 1
        until = self._limit.when()
        if self._stops == 1 and until is not None and self._may_change:
            self._left = until - self._loop.time()
            self._limit.reschedule(None)

    def _go_on(self) -> None:
        self._stops -= 1
        if self._stops == 0 and self._may_change:
            self._limit.reschedule(self._loop.time() + self._left)
