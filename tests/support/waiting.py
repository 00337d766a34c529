"""Await a condition with a deadline: machines are shared and slow, so nothing sleeps for a guess."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 120.0

SHORTEST, LONGEST = 0.02, 0.5
"""Seconds between two checks: a check is often a request, which takes the time of what is waited for."""

SHARE = 0.2
"""Of the time waited so far: how long the next pause is, within those two."""


def wait_until(condition: Callable[[], T], what: str | Callable[[], str], deadline: float = DEADLINE) -> T:
    """Return the condition's value once it is true. Fails the test when that takes too long.

    `what` names what was awaited: a text, or a function that returns it on failure, such as a log's content by then.
    """
    pauses = _pauses(deadline, what)
    while not (value := condition()):
        time.sleep(next(pauses))
    return value


async def until(condition: Callable[[], Awaitable[T]], what: str | Callable[[], str], deadline: float = DEADLINE) -> T:
    """Do the same for a condition that is awaited."""
    pauses = _pauses(deadline, what)
    while not (value := await condition()):
        await asyncio.sleep(next(pauses))
    return value


def _pauses(deadline: float, what: str | Callable[[], str]) -> Iterator[float]:
    """Yield the seconds from one check to the next until the deadline, then fail."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) <= deadline:
        yield min(max(SHORTEST, SHARE * waited), LONGEST)
    raise AssertionError(f"Not within {deadline:g} s: {what if isinstance(what, str) else what()}")
