"""Checks of parents: whether they can start children, deliver events, and how far the window is used. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from orchestration.contracts.messages import Progress
from orchestration.contracts.names import NOTIFY_ACTIVITY
from orchestration.diagnosis.findings import Finding, FindingCode, Severity
from orchestration.diagnosis.snapshot import PICKED_UP_WITHIN, WorkflowSnapshot, root_cause
from orchestration.temporal.protobuf import to_datetime
from orchestration.translation import _, ngettext


def check_parent(workflow: WorkflowSnapshot) -> list[Finding]:
    """Return why a parent cannot start children, or deliver its events."""
    return [*_ids_taken(workflow), *_notify_fails(workflow)]


def _ids_taken(workflow: WorkflowSnapshot) -> list[Finding]:
    """Find the ids whose newest start was refused. A parent retries for a while without reporting it."""
    taken, done = dict[str, datetime](), set[str]()
    for event in workflow.events:
        if event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED:
            done.add(event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id)
        elif event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_FAILED:
            refused = event.start_child_workflow_execution_failed_event_attributes.workflow_id
            if refused not in done:
                taken[refused] = to_datetime(event.event_time)
    return [
        Finding(
            FindingCode.ID_TAKEN,
            Severity.PROBLEM,
            workflow_id,
            _("The workflow id %(workflow_id)s is already in use by a running or completed workflow.")
            % {"workflow_id": workflow_id},
            _(
                "The start is retried for a few seconds. If the other workflow does not belong to this batch, "
                "terminate it in Temporal."
            ),
            _("%(parent_id)s could not start %(child_id)s: already exists")
            % {"parent_id": workflow.workflow_id, "child_id": workflow_id},
            since,
        )
        for workflow_id, since in taken.items()
    ]


def _notify_fails(workflow: WorkflowSnapshot) -> list[Finding]:
    """Check the pending notify activity, or else the outcome of the newest one."""
    detail, since = "", None
    for activity in workflow.description.pending_activities:
        if activity.activity_type.name == NOTIFY_ACTIVITY:
            began = to_datetime(activity.scheduled_time)
            if activity.attempt < 2 and workflow.now - began <= PICKED_UP_WITHIN:
                return []
            detail, since = root_cause(activity.last_failure) or _("No worker picks up the notify activity."), began
            break
    else:
        event = next((event for event in workflow.events if _is_end_of_notify(workflow, event)), None)
        if event is None or event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            return []
        failure = event.activity_task_failed_event_attributes.failure
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
            failure = event.activity_task_timed_out_event_attributes.failure
        detail, since = root_cause(failure), to_datetime(event.event_time)
    return [
        Finding(
            FindingCode.NOTIFY_FAILS,
            Severity.WARNING,
            workflow.workflow_id,
            _(
                "The events of this batch do not reach the dashboard. The batch itself keeps running: it never waits "
                "for them."
            ),
            _(
                "Check the log of the web process. Missed events are recovered within seconds by reconciling with "
                "Temporal."
            ),
            detail,
            since,
        )
    ]


def _is_end_of_notify(workflow: WorkflowSnapshot, event: HistoryEvent) -> bool:
    scheduled = 0
    if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        scheduled = event.activity_task_completed_event_attributes.scheduled_event_id
    elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
        scheduled = event.activity_task_failed_event_attributes.scheduled_event_id
    elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
        scheduled = event.activity_task_timed_out_event_attributes.scheduled_event_id
    origin = workflow.event(scheduled) if scheduled else None
    return origin is not None and origin.activity_task_scheduled_event_attributes.activity_type.name == NOTIFY_ACTIVITY


def check_progress(
    progress: Sequence[tuple[WorkflowSnapshot, Progress]], children: Sequence[WorkflowSnapshot], *, has_fault: bool
) -> list[Finding]:
    """Return what intentionally delays parents (a pause, the window), or that children are at work.

    `progress` begins with the topmost parent.
    """
    if not progress:
        return []
    top, answer = progress[0]
    lowest = [(workflow, each) for workflow, each in progress if not workflow.open_parents]
    running = sum(each.running for _, each in lowest)
    if answer.paused:
        return [_paused(top, running)]
    if not running:
        return []
    pending = sum(each.pending for _, each in lowest)
    is_full = all(each.running >= each.window for _, each in lowest if each.pending)
    oldest = min((child.started_at for child in children), default=None)
    window = sum(each.window for _, each in lowest)
    opening = "" if has_fault else _("No problem found.") + " "
    if pending and is_full:
        return [_window_full(top, opening, running, window, pending, oldest)]
    if has_fault:
        return []
    what = opening + ngettext(
        "%(running)s child is still running. How long it takes depends on its items.",
        "%(running)s children are still running. How long they take depends on their items.",
        running,
    ) % {"running": f"{running:,}"}
    advice = _("Wait, or open the oldest child to see its current items.")
    return [Finding(FindingCode.CHILDREN_OPEN, Severity.INFO, top.workflow_id, what, advice, since=oldest)]


def _paused(workflow: WorkflowSnapshot, running: int) -> Finding:
    """Return the finding without a number of what waits: a parent counts partitions, of which some have not started."""
    what = _("The batch is paused.")
    if running:
        still_running = ngettext(
            " %(running)s running child continues.", " %(running)s running children continue.", running
        )
        what += still_running % {"running": f"{running:,}"}
    advice = _("Resume the batch when it may continue.")
    return Finding(FindingCode.PAUSED, Severity.INFO, workflow.workflow_id, what, advice)


def _window_full(
    workflow: WorkflowSnapshot, opening: str, running: int, window: int, pending: int, oldest: datetime | None
) -> Finding:
    what = opening + _("Max concurrency is reached: %(running)s of %(window)s running, %(pending)s pending.") % {
        "running": f"{running:,}",
        "window": f"{window:,}",
        "pending": f"{pending:,}",
    }
    advice = _("Wait until a child finishes, or raise max concurrency if the workers can take more.")
    return Finding(FindingCode.WINDOW_FULL, Severity.INFO, workflow.workflow_id, what, advice, since=oldest)
