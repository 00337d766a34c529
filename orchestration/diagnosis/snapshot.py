"""Snapshots of workflows as Temporal describes them, and what waits in which queue. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice, zip_longest

from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo, PendingChildExecutionInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from orchestration.client.task_queues import QueueKind
from orchestration.contracts.names import FAN_OUT_WORKFLOW, PROCESS_CHUNK_ACTIVITY, PROCESS_ITEM_ACTIVITY
from orchestration.temporal.protobuf import to_datetime

PICKED_UP_WITHIN = timedelta(seconds=3)
"""A task that was scheduled more recently does not count as waiting."""

TEXT_LIMIT = 2_000
STATUS_DETAIL = 3
"""Place of the status among the details of a chunk's heartbeat."""


@dataclass(frozen=True)
class WorkflowSnapshot:
    """A workflow's newest run as described at `now`, and the newest events of its history, newest first."""

    description: DescribeWorkflowExecutionResponse
    events: Sequence[HistoryEvent]
    now: datetime

    @property
    def info(self) -> WorkflowExecutionInfo:
        """The run's execution info."""
        return self.description.workflow_execution_info

    @property
    def workflow_id(self) -> str:
        """The workflow's id."""
        return self.info.execution.workflow_id

    @property
    def is_parent(self) -> bool:
        """Whether it fans out."""
        return self.info.type.name == FAN_OUT_WORKFLOW

    @property
    def open_parents(self) -> list[str]:
        """Ids of the open parents directly below, oldest first."""
        return [child.workflow_id for child in self._pending if child.workflow_type_name == FAN_OUT_WORKFLOW]

    @property
    def open_children(self) -> list[str]:
        """Ids of the other open workflows directly below, oldest first."""
        return [child.workflow_id for child in self._pending if child.workflow_type_name != FAN_OUT_WORKFLOW]

    @property
    def _pending(self) -> list[PendingChildExecutionInfo]:
        return sorted(self.description.pending_children, key=lambda child: child.initiated_id)

    @property
    def started_at(self) -> datetime:
        """When the run started."""
        return to_datetime(self.info.start_time)

    def event(self, event_id: int) -> HistoryEvent | None:
        """Return an event by its id, if it is among the newest."""
        return next((event for event in self.events if event.event_id == event_id), None)


def oldest_children(parents: Sequence[WorkflowSnapshot], number: int) -> list[str]:
    """Return the ids of `number` open children: the oldest of each parent, then the second oldest of each."""
    rounds = zip_longest(*(parent.open_children for parent in parents))
    return list(islice((each for each in chain.from_iterable(rounds) if each is not None), number))


def waiting_tasks(workflows: Iterable[WorkflowSnapshot]) -> dict[tuple[str, QueueKind], datetime]:
    """Return the queues in which workflow tasks or activities wait to be picked up, and since when."""
    found = dict[tuple[str, QueueKind], datetime]()
    for each in workflows:
        task = each.description.pending_workflow_task
        scheduled = [(each.info.task_queue, QueueKind.WORKFLOW, to_datetime(task.scheduled_time))]
        if task.state != PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED:
            scheduled = []
        scheduled += [
            (activity.activity_options.task_queue.name, QueueKind.ACTIVITY, to_datetime(activity.scheduled_time))
            for activity in each.description.pending_activities
            if activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
        ]
        for name, kind, since in scheduled:
            if each.now - since > PICKED_UP_WITHIN:
                found[name, kind] = min(since, found.get((name, kind), since))
    return found


def used_queues(workflows: Iterable[WorkflowSnapshot]) -> set[str]:
    """Return the task queues of workflows and of their open activities."""
    found = set[str]()
    for each in workflows:
        found |= {activity.activity_options.task_queue.name for activity in each.description.pending_activities}
        found.add(each.info.task_queue)
    return found


def root_cause(failure: Failure) -> str:
    """Return type and message of the innermost cause: Temporal wraps a failure once for each level it passes."""
    while failure.HasField("cause"):
        failure = failure.cause
    kind = failure.application_failure_info.type
    return f"{kind}: {failure.message}"[:TEXT_LIMIT] if kind else failure.message[:TEXT_LIMIT]


def status_of_chunk(activity: PendingActivityInfo) -> str:
    """Return the status that a chunk's newest heartbeat has of one of its items; empty without one."""
    details = activity.heartbeat_details.payloads
    if (
        activity.activity_type.name not in (PROCESS_CHUNK_ACTIVITY, PROCESS_ITEM_ACTIVITY)
        or len(details) < STATUS_DETAIL
    ):
        return ""
    status = json.loads(details[STATUS_DETAIL - 1].data)
    return status if isinstance(status, str) else ""
