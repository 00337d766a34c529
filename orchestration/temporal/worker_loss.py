"""How an activity ends whose worker was lost with it: by its heartbeat timeout, or as the next process reports it."""

from __future__ import annotations

from datetime import timedelta

from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

WORKER_LOST = "WorkerLost"
"""Type of the failure that is reported. It is retried: Temporal takes no timeout from a worker."""


def is_lost(error: ActivityError) -> bool:
    """Whether the worker of an activity's last attempt was lost."""
    cause = error.cause
    if isinstance(cause, TemporalTimeoutError):
        return cause.type == TimeoutType.HEARTBEAT
    return isinstance(cause, ApplicationError) and cause.type == WORKER_LOST


def handed_on(*, anew: bool = False) -> ApplicationError:
    """Return how an activity ends whose worker stops before it is done: another worker goes on with it.

    With `anew` its workflow starts it again, as it does where a worker was lost: that takes none of its attempts.
    """
    again_soon = None if anew else timedelta(milliseconds=100)
    return ApplicationError(
        "The worker has been stopped.", type=WORKER_LOST, non_retryable=anew, next_retry_delay=again_soon
    )
