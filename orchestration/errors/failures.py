"""An exception as an outcome and as a failure with a bounded message."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    TerminatedError,
)
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.status import Failure, Status
    from orchestration.errors.texts import text_of, visible

MESSAGE_LIMIT = 500
"""Characters of a failure's message that travel in an event."""

TYPE_LIMIT = 200
"""The same of its type, which anybody may make up."""


def outcome_of(error: FailureError) -> tuple[Status, Failure]:
    """Return the outcome that an error stands for, and the failure to show."""
    cause: BaseException | None = error.cause if isinstance(error, ActivityError | ChildWorkflowError) else error
    outcome = Status.FAILED
    if isinstance(cause, CancelledError):
        outcome = Status.CANCELED
    elif isinstance(cause, TerminatedError):
        outcome = Status.TERMINATED
    elif isinstance(cause, TemporalTimeoutError):
        outcome = Status.TIMED_OUT
    return outcome, failure_of(cause or error)


def failure_of(error: BaseException) -> Failure:
    """Return the innermost reason of an error: Temporal wraps a failure once for each level it passes."""
    while isinstance(error, ActivityError | ChildWorkflowError) and error.cause is not None:
        error = error.cause
    message = visible(getattr(error, "message", None) or text_of(error))
    if isinstance(error, ApplicationError):
        return Failure((error.type or "ApplicationError")[:TYPE_LIMIT], message[:MESSAGE_LIMIT])
    if isinstance(error, TemporalTimeoutError):
        kind = error.type.name.lower().replace("_", " ") if error.type is not None else "execution"
        return Failure("Timeout", f"Timed out ({kind}).")
    if isinstance(error, TerminatedError):
        return Failure("Terminated", message[:MESSAGE_LIMIT] or "Terminated.")
    if isinstance(error, CancelledError):
        return Failure("Canceled", "Canceled.")
    return Failure(type(error).__name__, message[:MESSAGE_LIMIT])
