"""Limits for each host: concurrent requests, requests per second, and back-off after Retry-After."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from weakref import WeakKeyDictionary

MAX_BACK_OFF = 300.0
"""Seconds. Longer values of Retry-After are shortened to this."""


@dataclass
class _Host:
    """State of one host: semaphores by limit, the time of the next request by rate, and the end of a back-off."""

    slots: dict[int, asyncio.Semaphore] = field(default_factory=dict)
    next_at: dict[float, float] = field(default_factory=dict)
    backs_off_until: float = 0.0
    users: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody has or awaits a slot, and neither a rate nor a back-off holds the next request."""
        until = max([self.backs_off_until, *self.next_at.values()])
        return not self.users and asyncio.get_running_loop().time() >= until

    async def wait(self, per_second: float) -> None:
        """Wait until the rate limit and a back-off allow a request."""
        clock = asyncio.get_running_loop().time
        if per_second:
            at = max(clock(), self.next_at.get(per_second, 0.0))
            self.next_at[per_second] = at + 1 / per_second
            await asyncio.sleep(at - clock())
        while (remaining := self.backs_off_until - clock()) > 0:
            await asyncio.sleep(remaining)


HOSTS_REMEMBERED = 10_000
"""Hosts, which items name; those that are in use or back off are remembered beyond it."""

LOOKED_AT = 4
"""Hosts that may be forgotten when another is used: more than one, so that those in use don't push the number up."""

_hosts: WeakKeyDictionary[asyncio.AbstractEventLoop, OrderedDict[str, _Host]] = WeakKeyDictionary()


def _host(name: str) -> _Host:
    known = _hosts.setdefault(asyncio.get_running_loop(), OrderedDict())
    host = known.setdefault(name, _Host())
    known.move_to_end(name)
    if len(known) > HOSTS_REMEMBERED:
        _forget_idle(known, len(known) - HOSTS_REMEMBERED)
    return host


def _forget_idle(known: OrderedDict[str, _Host], number: int) -> None:
    """Forget hosts that were used least recently; those that are not idle count as used now."""
    for name in list(islice(known, min(LOOKED_AT, len(known) - 1))):
        if not known[name].is_idle:
            known.move_to_end(name)
        elif number:
            del known[name]
            number -= 1


@asynccontextmanager
async def host_slot(
    name: str, at_once: int, per_second: float, waiting: Callable[[], AbstractContextManager[None]]
) -> AsyncIterator[None]:
    """Hold one of `at_once` slots of a host, once its limits allow a request. Enters `waiting` while it waits."""
    host = _host(name)
    slot = host.slots.setdefault(at_once, asyncio.Semaphore(at_once))
    host.users += 1
    try:
        with waiting():
            await slot.acquire()
        try:
            with waiting():
                await host.wait(per_second)
            yield
        finally:
            slot.release()
    finally:
        host.users -= 1


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
