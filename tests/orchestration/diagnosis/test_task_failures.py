"""Which failures of workflow tasks count: those that come again and again, not one that a restart explains. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from temporalio.api.enums.v1 import EventType, TimeoutType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from orchestration.diagnosis.snapshot import WorkflowSnapshot
from orchestration.diagnosis.task_failures import TIMED_OUT, failure_of_task

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FAILED, LOST = "failed", "lost"
INTERRUPTED, NOT_PICKED_UP, COMPLETED = "interrupted", "not picked up", "completed"


def event_of(what: str, second: int) -> HistoryEvent:
    event = HistoryEvent(event_id=second + 1)
    event.event_time.FromSeconds(second)
    if what in (LOST, NOT_PICKED_UP):
        event.event_type = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
        timed_out = event.workflow_task_timed_out_event_attributes
        timed_out.timeout_type = (
            TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE if what == LOST else TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
        )
    elif what == COMPLETED:
        event.event_type = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    else:
        event.event_type = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        failed = event.workflow_task_failed_event_attributes
        failed.failure.message = f"fault {second}"
        if what == INTERRUPTED:
            failed.cause = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
    return event


def workflow(attempt: int, *history: str) -> WorkflowSnapshot:
    """Return a workflow with a pending task and a history, oldest first."""
    description = DescribeWorkflowExecutionResponse()
    description.workflow_execution_info.execution.workflow_id = "w"
    description.workflow_execution_info.type.name = "Broken"
    description.pending_workflow_task.attempt = attempt
    events = [event_of(what, second) for second, what in enumerate(history)]
    return WorkflowSnapshot(description, events[::-1], NOW)


@pytest.mark.parametrize(
    ("attempt", "history"),
    [
        (1, []),
        (2, [FAILED]),
        (2, [LOST]),
        (1, [FAILED, FAILED, FAILED, COMPLETED]),
        (1, [FAILED, COMPLETED, FAILED]),
        (2, [NOT_PICKED_UP, LOST]),
        (3, [INTERRUPTED, INTERRUPTED]),
    ],
)
def test_what_may_be_over_with_the_next_attempt_does_not_count(attempt: int, history: list[str]) -> None:
    assert failure_of_task(workflow(attempt, *history)) is None


@pytest.mark.parametrize(
    ("attempt", "history", "error", "since"),
    [
        (3, [COMPLETED, FAILED], "fault 1", 1),
        (3, [LOST], TIMED_OUT, 0),
        (1, [COMPLETED, FAILED, FAILED], "fault 2", 1),  # something else happened in between, so it counts anew
        (7, [FAILED, COMPLETED, FAILED, LOST, FAILED], "fault 4", 2),
    ],
)
def test_a_task_that_fails_again_and_again_counts_since_its_first_failure(
    attempt: int, history: list[str], error: str, since: int
) -> None:
    failure = failure_of_task(workflow(attempt, *history))
    assert failure is not None
    assert (failure.workflow_type, failure.error, failure.since.timestamp()) == ("Broken", error, since)
