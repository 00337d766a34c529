"""Child handles: start a child whose id may still be taken, signal one that may have closed, run work in background.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowHandle, ExternalWorkflowHandle

ID_TAKEN_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 4, 8))
"""Between tries to start a child: one of a terminated parent may still be closing. The last pause repeats."""

T = TypeVar("T")


async def pause_while_id_is_taken(tries: int) -> bool:
    """Wait longer after each try, and return that another one makes sense."""
    await workflow.sleep(ID_TAKEN_PAUSES[min(tries, len(ID_TAKEN_PAUSES)) - 1])
    return True


async def may_wait_for_id(tries: int) -> bool:
    """Wait longer after each try, and return whether another one makes sense: not once all pauses were taken."""
    return tries <= len(ID_TAKEN_PAUSES) and await pause_while_id_is_taken(tries)


async def start_when_id_is_free(
    start: Callable[[], Awaitable[T]], wait: Callable[[int], Awaitable[bool]] = pause_while_id_is_taken
) -> T:
    """Start a child, again and again while its id is taken.

    `wait` gets the number of tries made and returns whether another one makes sense; where it does not,
    WorkflowAlreadyStartedError is raised.
    """
    tries = 0
    while True:
        try:
            return await start()
        except WorkflowAlreadyStartedError:
            tries += 1
            if not await wait(tries):
                raise


async def signal_if_open(
    handle: ChildWorkflowHandle[Any, Any] | ExternalWorkflowHandle[Any], signal: str, *arguments: Any
) -> bool:
    """Signal a workflow, and return whether it is open; log it where that has closed."""
    try:
        await handle.signal(signal, args=arguments)
    except ApplicationError:
        workflow.logger.info("%s had closed before signal %s reached it.", handle.id, signal)
        return False
    return True


def in_background(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine as a task that nobody awaits."""
    asyncio.create_task(work)  # noqa: RUF006  the event loop of a workflow keeps references to its tasks
