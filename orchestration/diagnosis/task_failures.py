"""Workflows whose workflow task fails again and again: what blocks a batch without anybody asking."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from temporalio.api.enums.v1 import EventType, TimeoutType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from orchestration.client.visibility import IS_OPEN, REPORTED_PROBLEMS
from orchestration.diagnosis.describing import Describer
from orchestration.diagnosis.snapshot import WorkflowSnapshot, root_cause
from orchestration.temporal.connection import unavailable
from orchestration.temporal.protobuf import to_datetime

FAILS_FROM = 3
"""Attempt of a workflow task from which it counts as failing: the second one alone may follow a worker's restart."""

COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED

NOT_PICKED_UP = TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START
"""Of the queue of a worker that has the workflow in its cache: it stopped, and any other one takes the task."""

NO_FAULT = (
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
    WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FAILOVER_CLOSE_COMMAND,
)
"""Causes that say only that something else happened to the workflow in between."""

TIMED_OUT = "The workflow task timed out: its worker stopped midway or was overloaded."


@dataclass(frozen=True)
class TaskFailure:
    """A workflow whose task fails again and again: since when, and the newest error that Temporal keeps of it."""

    workflow_id: str
    workflow_type: str
    error: str
    since: datetime


async def failing_tasks(client: Client, known: Collection[str], others: Iterable[str]) -> list[TaskFailure]:
    """Return those of some workflows that are open and whose task fails again and again.

    `known` are those whose task did when it was looked at last. Raises TemporalUnavailable.
    """
    with unavailable():
        describer = Describer.of(client)
        found = await describer.open_of(known, with_events=True)
        found += await describer.open_of(each for each in dict.fromkeys(others) if each not in known)
    return [failure for workflow in found if (failure := failure_of_task(workflow)) is not None]


def failure_of_task(workflow: WorkflowSnapshot) -> TaskFailure | None:
    """Return how a workflow's task fails again and again; None where it does not, or has only once.

    Temporal counts the attempts of a task anew when something else happens to the workflow meanwhile: then the failures
    in its history since its last completed task count.
    """
    since_completed = takewhile(lambda event: event.event_type != COMPLETED, workflow.events)
    failures = [event for event in since_completed if _is_failure(event)]
    attempt = workflow.description.pending_workflow_task.attempt
    if not failures or (attempt < FAILS_FROM and len(failures) < FAILS_FROM - 1):
        return None
    failure = failures[0].workflow_task_failed_event_attributes.failure
    return TaskFailure(
        workflow.workflow_id,
        workflow.info.type.name,
        root_cause(failure) or TIMED_OUT,
        to_datetime(failures[-1].event_time),
    )


def _is_failure(event: HistoryEvent) -> bool:
    """Whether a workflow task failed by its code or its worker, and not because something happened in between."""
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
        return event.workflow_task_timed_out_event_attributes.timeout_type != NOT_PICKED_UP
    is_failed = event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    return is_failed and event.workflow_task_failed_event_attributes.cause not in NO_FAULT


async def reported_problems(client: Client) -> dict[str, list[str]]:
    """Return the open workflows of which Temporal itself reports that their tasks fail: {root's id: workflow ids}.

    One query for all trees; nothing where the server does not report it. Raises TemporalUnavailable.
    """
    with unavailable():
        infos = await Describer.of(client).listed(f"{IS_OPEN} AND {REPORTED_PROBLEMS}")
    found = dict[str, list[str]]()
    for info in infos:
        root = info.root_execution.workflow_id or info.execution.workflow_id
        found.setdefault(root, []).append(info.execution.workflow_id)
    return found
