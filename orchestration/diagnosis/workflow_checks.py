"""Checks of one workflow: its workflow task and its activities. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from temporalio.api.enums.v1 import EventType, PendingActivityState, WorkflowExecutionStatus
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo

from orchestration.client.task_queues import WorkerSnapshot
from orchestration.contracts.names import NOTIFY_ACTIVITY
from orchestration.diagnosis.findings import Finding, FindingCode, Severity
from orchestration.diagnosis.snapshot import WorkflowSnapshot, root_cause, status_of_chunk
from orchestration.processors.own_loops import BLOCKS
from orchestration.temporal.protobuf import to_datetime
from orchestration.translation import _

HEARTBEAT_DUE = 1 / 3
"""Share of the heartbeat timeout after which an activity's heartbeat counts as missing if its worker is lost."""

HEARTBEAT_OVERDUE = 0.9
"""The same for a live worker: the SDK sends heartbeats only every 0.8 of the timeout."""

TASK_FAILURES = (EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT)


def not_started(workflow_id: str) -> Finding:
    """Return the finding that Temporal knows no such workflow."""
    return Finding(
        FindingCode.NOT_STARTED,
        Severity.INFO,
        workflow_id,
        _("Not started yet: Temporal has no workflow with this id."),
        _(
            "A child waits until max concurrency lets it start, a batch until Temporal can be reached; both then start "
            "automatically."
        ),
    )


def already_closed(workflow: WorkflowSnapshot) -> Finding:
    """Return the finding that a workflow is closed which the record shows as open."""
    return Finding(
        FindingCode.CLOSED,
        Severity.INFO,
        workflow.workflow_id,
        _("Its latest run has finished; the dashboard has not caught up yet, or another run follows."),
        _("No action needed: the dashboard reconciles with Temporal every few seconds."),
        since=to_datetime(workflow.info.close_time),
    )


def check_workflow(workflow: WorkflowSnapshot, workers: Sequence[WorkerSnapshot]) -> list[Finding]:
    """Return what is wrong with a workflow's task and its activities, except that no worker picks them up."""
    found = list[Finding]()
    if workflow.info.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED:
        found.append(_paused_in_temporal(workflow))
    if workflow.description.pending_workflow_task.attempt > 1:
        found.append(_task_fails(workflow))
    for activity in workflow.description.pending_activities:
        if activity.activity_type.name != NOTIFY_ACTIVITY:
            found += _check_activity(workflow, activity, workers)
    return found


def _paused_in_temporal(workflow: WorkflowSnapshot) -> Finding:
    return Finding(
        FindingCode.PAUSED_IN_TEMPORAL,
        Severity.PROBLEM,
        workflow.workflow_id,
        _("The workflow was paused in Temporal itself, outside this dashboard."),
        _("Unpause it there: temporal workflow unpause --workflow-id %(workflow_id)s.")
        % {"workflow_id": workflow.workflow_id},
    )


def _task_fails(workflow: WorkflowSnapshot) -> Finding:
    """Report the newest failed workflow task in the history, where Temporal keeps the first failure in a row."""
    event = next((event for event in workflow.events if event.event_type in TASK_FAILURES), None)
    failure = event.workflow_task_failed_event_attributes.failure if event is not None else Failure()
    since = to_datetime(event.event_time) if event is not None else None
    if _is_unregistered(failure):
        what = _("workflow type %(name)s") % {"name": workflow.info.type.name}
        return _not_registered(workflow, what, failure, since)
    attempt = workflow.description.pending_workflow_task.attempt
    return Finding(
        FindingCode.WORKFLOW_TASK_FAILS,
        Severity.PROBLEM,
        workflow.workflow_id,
        _("The workflow code keeps failing (attempt %(attempt)s), and Temporal keeps retrying it.")
        % {"attempt": attempt},
        _(
            "This is a bug in the code, not in the items: fix it and restart the workers. The workflow resumes where "
            "it was; terminate the batch if it is no longer needed."
        ),
        root_cause(failure) or _("The workflow task timed out: its worker stopped midway or was overloaded."),
        since,
    )


def _not_registered(workflow: WorkflowSnapshot, what: str, failure: Failure, since: datetime | None) -> Finding:
    return Finding(
        FindingCode.NOT_REGISTERED,
        Severity.PROBLEM,
        workflow.workflow_id,
        _("The %(what)s is not registered with the worker that polls the task queue.") % {"what": what},
        _(
            "Another program or an older version polls this queue: start a worker that has it registered, and stop "
            "the one that does not. The batch then continues automatically."
        ),
        root_cause(failure),
        since,
    )


def _check_activity(
    workflow: WorkflowSnapshot, activity: PendingActivityInfo, workers: Sequence[WorkerSnapshot]
) -> list[Finding]:
    found = list[Finding]()
    is_running = activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    if activity.HasField("last_failure") and _is_unregistered(activity.last_failure):
        ended = activity.last_attempt_complete_time
        since = to_datetime(ended) if activity.HasField("last_attempt_complete_time") else None
        found.append(
            _not_registered(
                workflow, _("activity %(name)s") % {"name": activity.activity_type.name}, activity.last_failure, since
            )
        )
    elif activity.attempt > 1:
        found.append(_retries(workflow, activity, is_running=is_running))
    if is_running and BLOCKS in (status := status_of_chunk(activity)):
        found.append(_loop_blocked(workflow, status))
    if is_running:
        missing = _heartbeat_missing(workflow, activity, workers)
        found += [missing] if missing is not None else []
    return found


def _retries(workflow: WorkflowSnapshot, activity: PendingActivityInfo, *, is_running: bool) -> Finding:
    name, limit = activity.activity_type.name, activity.maximum_attempts
    what = _("The activity %(name)s failed and is being retried: attempt %(attempt)s") % {
        "name": name,
        "attempt": activity.attempt,
    }
    what += _(" of %(limit)s") % {"limit": limit} if limit else ""
    if is_running:
        what += _(" is running.")
    elif activity.HasField("next_attempt_schedule_time"):
        what += _(" starts at %(starts_at)s UTC.") % {
            "starts_at": f"{to_datetime(activity.next_attempt_schedule_time):%H:%M:%S}"
        }
    else:
        what += _(" is waiting for a worker.")
    return Finding(
        FindingCode.ACTIVITY_RETRIES,
        Severity.WARNING,
        workflow.workflow_id,
        what,
        _(
            "It succeeds once the cause of the last error is fixed; after the last attempt the child fails and can "
            "be retried."
        ),
        root_cause(activity.last_failure),
    )


def _heartbeat_missing(
    workflow: WorkflowSnapshot, activity: PendingActivityInfo, workers: Sequence[WorkerSnapshot]
) -> Finding | None:
    timeout = activity.activity_options.heartbeat_timeout.ToTimedelta()
    identity, name = activity.last_worker_identity, activity.activity_type.name
    beat = to_datetime(
        activity.last_heartbeat_time if activity.HasField("last_heartbeat_time") else activity.last_started_time
    )
    beat = max(beat, to_datetime(activity.last_started_time))
    of_worker = [worker for worker in workers if worker.identity == identity]
    is_lost = bool(of_worker) and all(worker.is_lost(workflow.now) for worker in of_worker)
    if not timeout or workflow.now - beat <= timeout * (HEARTBEAT_DUE if is_lost else HEARTBEAT_OVERDUE):
        return None
    what = (
        _("The activity %(name)s has stopped sending heartbeats, and its worker %(identity)s is not responding either.")
        if is_lost
        else _(
            "The activity %(name)s has stopped sending heartbeats. Its worker %(identity)s still responds, so the "
            "activity hangs or the worker is overloaded."
        )
    )
    return Finding(
        FindingCode.HEARTBEAT_MISSING,
        Severity.PROBLEM,
        workflow.workflow_id,
        what % {"name": name, "identity": identity},
        _("After %(seconds)s s without a heartbeat Temporal gives it to another worker; make sure that one is running.")
        % {"seconds": f"{timeout.total_seconds():g}"},
        identity,
        beat,
    )


def _loop_blocked(workflow: WorkflowSnapshot, status: str) -> Finding:
    return Finding(
        FindingCode.LOOP_BLOCKED,
        Severity.PROBLEM,
        workflow.workflow_id,
        _("An async processor blocks its event loop, where it should await."),
        _(
            "Its item times out, and only items of the same processor wait meanwhile. Make it a plain function, or "
            "await what it waits for, and restart the workers."
        ),
        status,
    )


def _is_unregistered(failure: Failure) -> bool:
    """Whether a worker does not know a type: Python's and TypeScript's wording first, Go's and Java's second."""
    text = failure.message.lower()
    is_named = failure.application_failure_info.type == "NotFoundError" and "not registered" in text
    return is_named or text.startswith(("unable to find workflow type", "unable to find activitytype"))
