"""launch_scheduled: the activity by which a schedule launches a batch, on the dashboard's queue beside notify."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from django.core.exceptions import PermissionDenied
from temporalio import activity
from temporalio.exceptions import ApplicationError

from dashboard import live
from dashboard.launching import IdempotencyConflict, fan_out_input, launch
from dashboard.models import OPEN_BATCH_STATUSES, AuditEntry, Batch
from dashboard.schedule_models import Schedule, ScheduleEntry
from dashboard.schedule_request import CannotLaunch, request_of
from dashboard.temporal import gateway
from orchestration.connection import BatchNotRunning
from orchestration.contracts import LAUNCH_SCHEDULED_ACTIVITY, LaunchedBatch, LaunchScheduled
from orchestration.schedules import Overlap, ScheduleGone

OVERTAKEN = "The next launch of its schedule terminated it, as the overlap policy says."


@activity.defn(name=LAUNCH_SCHEDULED_ACTIVITY)
async def launch_scheduled(due: LaunchScheduled) -> LaunchedBatch:
    """Launch the batch that is due, as the person who made the schedule. Another try finds the same batch.

    Raises ApplicationError, not retried, for what can no longer be launched: the schedule's page says so.
    """
    try:
        batch = await database_sync_to_async(_launch, thread_sensitive=False)(due)
    except (CannotLaunch, PermissionDenied, IdempotencyConflict) as error:
        raise ApplicationError(str(error), type="CannotLaunch", non_retryable=True) from error
    await live.ring(batch.pk)
    return LaunchedBatch("" if batch.is_discarded else batch.pk)


def _launch(due: LaunchScheduled) -> Batch:
    schedule = Schedule.objects.select_related("made_by", "upload").filter(pk=due.schedule_id).first()
    if schedule is None or schedule.deleted_at is not None:
        raise CannotLaunch("The schedule was deleted.")
    try:
        request = request_of(schedule, due)
        _end_overtaken(schedule, due.key)
        launched = launch(schedule.made_by, request)
    except (CannotLaunch, PermissionDenied, IdempotencyConflict) as error:
        outcome = f"Nothing was launched: {error}"
        ScheduleEntry.objects.create(schedule=schedule, person=schedule.made_by, action="launch", outcome=outcome)
        raise
    batch = launched.batch
    if (not launched.created or batch.start_error) and not batch.is_discarded:
        async_to_sync(gateway().start)(fan_out_input(batch))
    return batch


def _end_overtaken(schedule: Schedule, key: str) -> None:
    """Terminate open batches where the policy is terminate_other: Temporal ended only what waited for them."""
    try:
        setting = async_to_sync(gateway().schedules.describe)(schedule.pk).setting
    except ScheduleGone:
        return
    if setting.overlap is not Overlap.TERMINATE_OTHER:
        return
    for batch in Batch.objects.filter(schedule=schedule, status__in=OPEN_BATCH_STATUSES).exclude(idempotency_key=key):
        try:
            async_to_sync(gateway().terminate)(batch.pk, OVERTAKEN)
        except BatchNotRunning:
            continue
        AuditEntry.objects.create(batch=batch, person=schedule.made_by, action="terminate", outcome=OVERTAKEN)
