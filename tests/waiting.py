"""Await a condition with a deadline: machines are shared and slow, so nothing sleeps for a guess."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 60.0
EVERY = 0.05


def wait_until(condition: Callable[[], T], what: str | Callable[[], str], deadline: float = DEADLINE) -> T:
    """Return the condition's value once it is true. Fails the test when that takes too long.

    `what` was awaited: a text, or a function that says it then (a log has nothing to say before).
    """
    end = time.monotonic() + deadline
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"Not within {deadline:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(EVERY)
    return value


async def until(condition: Callable[[], Awaitable[T]], what: str, deadline: float = DEADLINE) -> T:
    """Do the same where the condition has to be awaited."""
    end = time.monotonic() + deadline
    while not (value := await condition()):
        if time.monotonic() > end:
            raise AssertionError(f"Not within {deadline:g} s: {what}")
        await asyncio.sleep(EVERY)
    return value
