"""How an activity ends whose worker was lost with it: by its heartbeat timeout, or as the next process reports it."""

from __future__ import annotations

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
