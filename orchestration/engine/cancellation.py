"""Cancellation: a request that an await has swallowed is heard all the same, and clean-up runs to its end.

An activity, a child or a timeout that ends in the moment of the request returns its result, and asyncio raises nothing
again. The task remembers the request. `patched` is asked only once there is one, so that no other history has a marker.
Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.workflow import ActivityHandle

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.patches import CANCEL_IS_HEARD, END_STANDS

T = TypeVar("T")

CYCLES_TO_COMPLETE = 5
"""Cycles of the workflow's event loop, ample for a result that came with the request to pass from Temporal to its task:
no time passes, and nothing is asked of Temporal."""


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


async def result_of(activity: ActivityHandle[T]) -> T:
    """Return the result of an activity, which is canceled with the task; one that completes in that moment counts.

    The SDK raises asyncio.CancelledError then, and the result would be lost: a saga would not undo what was done.
    """
    try:
        return await asyncio.shield(activity)
    except asyncio.CancelledError:
        if workflow.patched(CANCEL_IS_HEARD):
            for _ in range(CYCLES_TO_COMPLETE):
                await asyncio.sleep(0)
        if not activity.done():
            activity.cancel()
        return await activity


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Run work that is too late to cancel, such as writing down what has been done, and return its result."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.done() or not workflow.patched(END_STANDS):
            task.cancel()
            raise
        return await task


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
