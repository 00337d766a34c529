"""Places for updates: a workflow takes 10 at a time. Those of one process queue, and wait while it has no place."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from temporalio.service import RPCError, RPCStatusCode

PLACES = 5
"""Of one process for one workflow: half of what Temporal allows, so that two processes need not wait."""

WAIT = 60.0
"""Seconds until an update is given up for which there is no place. One takes some milliseconds, unless no worker
answers."""

PAUSES = (0.05, 0.4)
"""Shortest and longest pause in seconds before another try."""

T = TypeVar("T")

_queues = WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[str, asyncio.Semaphore]]()


async def when_there_is_a_place(workflow_id: str, update: Callable[[], Awaitable[T]]) -> T:
    """Send an update to a workflow once it takes one, and return its answer.

    `update` may be called several times, with the same id. Raises RPCError where there is no place for too long.
    """
    until = time.monotonic() + WAIT
    queue = _queue_of(workflow_id)
    try:
        await asyncio.wait_for(queue.acquire(), WAIT)
    except TimeoutError as error:
        reason = "other updates of this workflow have not been answered"
        raise RPCError(reason, RPCStatusCode.RESOURCE_EXHAUSTED, b"") from error
    try:
        while True:
            try:
                return await update()
            except RPCError as error:
                if not _finds_no_place(error) or time.monotonic() > until:
                    raise
            await asyncio.sleep(random.uniform(*PAUSES))
    finally:
        queue.release()


def _queue_of(workflow_id: str) -> asyncio.Semaphore:
    of_loop = _queues.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    queue = of_loop.get(workflow_id)
    if queue is None:
        queue = of_loop[workflow_id] = asyncio.Semaphore(PLACES)
    return queue


def _finds_no_place(error: RPCError) -> bool:
    """Whether too many updates are in flight, or the workflow closed as this one arrived: it was not done."""
    if error.status is RPCStatusCode.UNAVAILABLE:
        return "update was aborted" in error.message
    return error.status is RPCStatusCode.RESOURCE_EXHAUSTED and "in-flight updates" in error.message
