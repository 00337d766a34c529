"""Policies of child workflows: id reuse, retry, timeouts, parent close, cancellation."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.fan_out import FanOutInput
    from orchestration.contracts.names import CHILD_TASK_QUEUE
    from orchestration.contracts.status import Status
    from orchestration.plan.choices import Cancellation, ParentClose
    from orchestration.plan.plan import Plan

ALREADY_RUNNING = "already running"
ALREADY_COMPLETED = "already completed"
ALREADY_SKIPPED = "already skipped"

FAILURES = (Status.FAILED, Status.TIMED_OUT, Status.TERMINATED)
"""Outcomes that count against a failure limit; a cancellation was asked for."""

PARENT_CLOSE = {
    ParentClose.TERMINATE: ParentClosePolicy.TERMINATE,
    ParentClose.REQUEST_CANCEL: ParentClosePolicy.REQUEST_CANCEL,
    ParentClose.ABANDON: ParentClosePolicy.ABANDON,
}
CANCELLATION = {
    Cancellation.WAIT: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    Cancellation.REQUEST: ChildWorkflowCancellationType.TRY_CANCEL,
    Cancellation.ABANDON: ChildWorkflowCancellationType.ABANDON,
}


def untouched_outcomes(given: FanOutInput) -> tuple[Status, ...]:
    """Return the outcomes after which no item can have completed; of a canceled child some may have."""
    return (Status.SKIPPED, Status.FAILED) if given.plan.chunk_size == 1 else (Status.SKIPPED,)


def runs_with_workflows(plan: Plan) -> bool:
    """Whether items are processed where the workflows run."""
    return plan.task_queue == CHILD_TASK_QUEUE


def optional_seconds(number: float | None) -> timedelta | None:
    """Return a number of seconds as a duration; None stays None."""
    return None if number is None else timedelta(seconds=number)


def reuse_policy(*, may_repeat: bool) -> WorkflowIDReusePolicy:
    """Return whether a run may have the id of one that completed; it may have that of one that failed."""
    reuse = WorkflowIDReusePolicy
    return reuse.ALLOW_DUPLICATE if may_repeat else reuse.ALLOW_DUPLICATE_FAILED_ONLY


def child_retry_policy(given: FanOutInput) -> RetryPolicy | None:
    """Return how Temporal retries a child's workflow; None where the plan gives it one attempt."""
    plan = given.plan
    if plan.child_attempts == 1:
        return None
    return RetryPolicy(
        initial_interval=timedelta(seconds=plan.child_backoff),
        maximum_attempts=plan.child_attempts,
        non_retryable_error_types=plan.non_retryable_types,
    )
