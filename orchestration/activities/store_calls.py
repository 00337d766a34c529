"""Calls of a store wait while it is away, for as long as their activity may: that costs time, never an attempt."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from orchestration.contracts.stores import StoreAway
from orchestration.telemetry.worker_metrics import store_retries

log = logging.getLogger(__name__)

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries; the last one repeats."""

T = TypeVar("T")


async def when_back(call: Callable[[], Awaitable[T]]) -> T:
    """Return what a call of a store returns, made again until the store is not away."""
    for pause in pauses():
        try:
            return await call()
        except StoreAway as error:
            store_retries.inc()
            log.warning("The store is away (%s): the next try is in %s s.", error, pause)
        await asyncio.sleep(pause)
    raise AssertionError("The pauses never end.")


def read_when_back(read: Callable[[str], Iterator[bytes]]) -> Callable[[str], Iterator[bytes]]:
    """Return a reader in a thread that waits for a store, also in the middle, and goes on where it was interrupted."""

    def reader(name: str) -> Iterator[bytes]:
        had, left = 0, pauses()
        while True:
            try:
                for part in _after(had, read(name)):
                    had, left = had + len(part), pauses()
                    yield part
            except StoreAway as error:
                pause = next(left)
                store_retries.inc()
                log.warning("The store is away (%s): the next try is in %s s.", error, pause)
                time.sleep(pause)
            else:
                return

    return reader


def _after(skipped: int, parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield parts without their first bytes."""
    for part in parts:
        if rest := part[skipped:]:
            yield rest
        skipped = max(0, skipped - len(part))


def pauses() -> Iterator[float]:
    """Yield the seconds between tries, without an end."""
    return itertools.chain(PAUSES, itertools.repeat(PAUSES[-1]))
