"""Retry of a parent that has closed: it is started again, and waits for the update that says what to retry.

Workflow code: deterministic.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.messages import ChildrenRequest
    from orchestration.contracts.names import PARENT_CLOSING

WAIT_FOR_RETRY = timedelta(minutes=1)
"""A parent that was started to retry gives up when its `retry` update does not come."""

TOO_MANY = "too many at once: retry it when those that were accepted have run"

NO_SUCH_CHILD = "NoSuchChild"


async def await_retry(has_come: Callable[[], bool]) -> None:
    """Wait for the `retry` update of a parent that was started for it."""
    try:
        await workflow.wait_condition(has_come, timeout=WAIT_FOR_RETRY)
    except TimeoutError:
        workflow.logger.warning("Started to retry, but no retry came.")


def validate_request(request: ChildrenRequest, exists: Callable[[int], bool], *, is_closing: bool) -> None:
    """Raise ApplicationError for an update that comes as the parent closes, or names a child that does not exist.

    A parent that only rolls back counts as closing.
    """
    if is_closing:
        raise ApplicationError("The parent is closing.", type=PARENT_CLOSING)
    for child in request.children:
        if not exists(child):
            raise ApplicationError(f"No such child: {child}.", type=NO_SUCH_CHILD)
