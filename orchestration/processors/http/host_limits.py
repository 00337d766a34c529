"""Limits for each host: concurrent requests, requests per second, and back-off after Retry-After."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from weakref import WeakKeyDictionary

MAX_BACK_OFF = 300.0
"""Seconds. Longer values of Retry-After are shortened to this."""


@dataclass
class _Host:
    """State of one host: semaphores by limit, the time of the next request by rate, and the end of a back-off."""

    slots: dict[int, asyncio.Semaphore] = field(default_factory=dict)
    next_at: dict[float, float] = field(default_factory=dict)
    backs_off_until: float = 0.0

    async def wait(self, per_second: float) -> None:
        """Wait until the rate limit and a back-off allow a request."""
        clock = asyncio.get_running_loop().time
        if per_second:
            at = max(clock(), self.next_at.get(per_second, 0.0))
            self.next_at[per_second] = at + 1 / per_second
            await asyncio.sleep(at - clock())
        while (remaining := self.backs_off_until - clock()) > 0:
            await asyncio.sleep(remaining)


_hosts: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Host]] = WeakKeyDictionary()


def _host(name: str) -> _Host:
    return _hosts.setdefault(asyncio.get_running_loop(), {}).setdefault(name, _Host())


@asynccontextmanager
async def host_slot(
    name: str, at_once: int, per_second: float, waiting: Callable[[], AbstractContextManager[None]]
) -> AsyncIterator[None]:
    """Hold one of `at_once` slots of a host, once its limits allow a request. Enters `waiting` while it waits."""
    host = _host(name)
    slot = host.slots.setdefault(at_once, asyncio.Semaphore(at_once))
    with waiting():
        await slot.acquire()
    try:
        with waiting():
            await host.wait(per_second)
        yield
    finally:
        slot.release()


def back_off(name: str, seconds: float) -> None:
    """Send no requests of this worker to a host for so many seconds."""
    host = _host(name)
    host.backs_off_until = max(host.backs_off_until, asyncio.get_running_loop().time() + seconds)


def retry_after_seconds(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header, seconds or a date (RFC 9110, 10.2.3); None if unreadable."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return min(float(retry_after), MAX_BACK_OFF)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max(0.0, (at - datetime.now(UTC)).total_seconds()), MAX_BACK_OFF)
