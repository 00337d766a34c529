"""Cancellation: a request that an await has swallowed is heard all the same, and clean-up runs to its end.

An activity, a child or a timeout that ends in the moment of the request returns its result, and asyncio raises nothing
again. The task remembers the request. `patched` is asked only once there is one, so that no other history has a marker.
Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.patches import CANCEL_IS_HEARD

T = TypeVar("T")


def is_canceled() -> bool:
    """Whether the task that runs was asked to cancel, whatever became of that."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def hears_cancel() -> bool:
    """Whether the task was asked to cancel, in a run that listens for it between its steps."""
    return is_canceled() and workflow.patched(CANCEL_IS_HEARD)


def stop_if_canceled() -> None:
    """Raise asyncio.CancelledError if the task was asked to cancel."""
    if hears_cancel():
        raise asyncio.CancelledError


async def clean_up(work: Awaitable[T], canceled: Callable[[], None]) -> T:
    """Run clean-up to its end although the task is asked to cancel meanwhile, and call `canceled` when it is."""
    if not workflow.patched(CANCEL_IS_HEARD):
        return await work
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            canceled()
    return task.result()
