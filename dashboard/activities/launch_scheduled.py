"""The activity by which a schedule launches a batch, on the dashboard's task queue beside notify."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from django.core.exceptions import PermissionDenied
from temporalio import activity
from temporalio.exceptions import ApplicationError

from dashboard.accounts.audit import record
from dashboard.activities.outages import tried_again_soon
from dashboard.errors import FieldErrors
from dashboard.launching.launch import launch
from dashboard.launching.request import IdempotencyConflict
from dashboard.launching.root_input import root_input
from dashboard.live import doorbell
from dashboard.models import OPEN_BATCH_STATUSES, Batch, Schedule
from dashboard.schedules.stored_launch import CannotLaunch, request_of
from dashboard.temporal import gateway
from orchestration.client.schedule_models import Overlap, ScheduleGone
from orchestration.contracts.dashboard_activities import DueLaunch, LaunchedBatch
from orchestration.contracts.names import LAUNCH_SCHEDULED_ACTIVITY
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import root_id
from orchestration.telemetry import tracing
from orchestration.temporal.connection import BatchNotRunning

CONCURRENT_LAUNCHES = 4
QUEUED_LAUNCHES = 32
"""At a full hour many are due: they queue here, not in front of notifies."""

REFUSALS = (CannotLaunch, PermissionDenied, IdempotencyConflict, FieldErrors)
"""What can no longer be launched: trying again does not help."""

_threads = ThreadPoolExecutor(CONCURRENT_LAUNCHES, thread_name_prefix="launches")

ENDED_BY_OVERLAP = "For the next launch of its schedule, as the overlap policy says."


@activity.defn(name=LAUNCH_SCHEDULED_ACTIVITY)
@tried_again_soon
async def launch_scheduled(due: DueLaunch) -> LaunchedBatch:
    """Launch the batch that is due, as the person who made the schedule. Idempotent: a retry finds the same batch.

    Raises ApplicationError, non-retryable, for what can no longer be launched; the schedule's page shows it.
    """
    try:
        batch = await database_sync_to_async(_launch, thread_sensitive=False, executor=_threads)(due)
    except REFUSALS as error:
        raise ApplicationError(str(error), type="CannotLaunch", non_retryable=True) from error
    await doorbell.announce_change(batch.pk)
    return LaunchedBatch("" if batch.is_discarded else batch.pk)


def _launch(due: DueLaunch) -> Batch:
    schedule = Schedule.objects.select_related("made_by", "upload").filter(pk=due.schedule_id).first()
    if schedule is None or schedule.deleted_at is not None:
        raise CannotLaunch("The schedule was deleted.")
    try:
        request = request_of(schedule, due)
        _end_overlapped(schedule, due.key)
        launched = launch(schedule.made_by, request)
    except REFUSALS as error:
        record(schedule.made_by, schedule, "launch", outcome=f"Nothing was launched: {error}")
        raise
    batch = launched.batch
    if (not launched.created or batch.start_error) and not batch.is_discarded:
        with tracing.continued(batch.traceparent, "start"):
            async_to_sync(gateway().start)(root_input(batch))
    return batch


def _end_overlapped(schedule: Schedule, key: str) -> None:
    """End the batches that the overlap policy ends in favour of this launch, and record that it did."""
    try:
        overlap = async_to_sync(gateway().schedules.describe)(schedule.pk).setting.overlap
    except ScheduleGone:
        return
    others = schedule.batches.exclude(idempotency_key=key)
    if overlap is Overlap.TERMINATE_OTHER:
        for batch in others.filter(status__in=OPEN_BATCH_STATUSES):
            _terminate(schedule, batch)
    elif overlap is Overlap.CANCEL_OTHER and (last := others.first()) is not None:
        _record_cancel(schedule, last)


def _terminate(schedule: Schedule, batch: Batch) -> None:
    """Terminate an open batch: Temporal terminated only the workflow that waited for it."""
    try:
        async_to_sync(gateway().terminate)(batch.workflows.root, ENDED_BY_OVERLAP)
    except BatchNotRunning:
        return
    record(schedule.made_by, batch, "terminate", outcome=ENDED_BY_OVERLAP)


def _record_cancel(schedule: Schedule, batch: Batch) -> None:
    """Record who canceled the last batch, unless somebody has: the workflow that waited for it did so before this."""
    if batch.audit.filter(action__in=["cancel", "discard"]).exists():
        return
    root = async_to_sync(gateway().describe_run)(root_id(batch.pk))
    if root is not None and root.status is Status.CANCELED:
        record(schedule.made_by, batch, "cancel", outcome=ENDED_BY_OVERLAP)
