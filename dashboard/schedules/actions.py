"""Actions on schedules: create, edit, pause, resume, trigger and delete, and reads of what Temporal knows of them.

The pages and the API share them. Each action requires the operator's role, calls Temporal through the gateway, and
writes an audit entry with its outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.accounts.audit import audited, record
from dashboard.accounts.permissions import Person, require_operator
from dashboard.errors import FieldErrors, OperationError, temporal_errors
from dashboard.models import Batch, Schedule
from dashboard.schedules.stored_launch import StoredLaunch
from dashboard.schedules.timetable import Timetable
from dashboard.temporal import gateway
from orchestration.client.schedule_models import Overlap, ScheduleGone, ScheduleSnapshot, Timing, TimingRefused
from orchestration.client.schedules import Schedules

SCHEDULE_GONE = gettext_lazy(
    "Temporal no longer has this schedule: it was deleted there. Delete it here and create a new one."
)
STILL_RUNNING = gettext_lazy(
    "Nothing was launched: a batch of this schedule is still open, and the overlap policy is Skip."
)

SCOPE_LENGTH = 500
"""Characters of an audit entry's scope."""

T = TypeVar("T")


def next_times(timing: Timing) -> list[datetime]:
    """Return the next ten times, in the timing's time zone.

    Raises FieldErrors, and OperationError (503) if Temporal is unavailable.
    """
    with _schedule_errors():
        times = _call(lambda schedules: schedules.next_times(timing))
    return [at.astimezone(ZoneInfo(timing.time_zone)) for at in times]


def create(person: Person, timetable: Timetable, stored: StoredLaunch, *, paused: bool = False) -> Schedule:
    """Create a schedule of a launch, or return the one created from it before.

    Raises PermissionDenied, FieldErrors, OperationError.
    """
    operator = require_operator(person)
    next_times(timetable.timing)
    schedule, is_new = Schedule.objects.get_or_create(
        id=stored.id,
        defaults={
            "name": timetable.name,
            "request": stored.data,
            "item_count": stored.count,
            "upload_id": stored.data["source"].get("upload"),
            "made_by": operator,
        },
    )
    if not is_new:
        return schedule
    try:
        with _schedule_errors():
            _call(lambda schedules: schedules.create(schedule.pk, timetable.setting(paused=paused)))
    except Exception:
        schedule.delete()
        raise
    record(operator, schedule, "make", "paused" if paused else "")
    return schedule


def edit(person: Person, schedule: Schedule, timetable: Timetable) -> None:
    """Change when a schedule launches, and its name. Raises PermissionDenied, FieldErrors, OperationError."""
    operator = require_operator(person)
    next_times(timetable.timing)
    before = _current_timetable(schedule)
    with _audited(schedule, operator, "edit", _changes(before, timetable)):
        _call(lambda schedules: schedules.update(schedule.pk, timetable.setting()))
    Schedule.objects.filter(pk=schedule.pk).update(name=timetable.name)


def change_launch(person: Person, schedule: Schedule, stored: StoredLaunch, changes: str) -> None:
    """Change what a schedule launches from now on; `changes` says what for the audit.

    Raises PermissionDenied, OperationError for a deleted one.
    """
    operator = require_operator(person)
    with _audited(schedule, operator, "edit", changes[:SCOPE_LENGTH]):
        Schedule.objects.filter(pk=schedule.pk).update(
            request=stored.data, item_count=stored.count, upload_id=stored.data["source"].get("upload")
        )


def timetable_of(schedule: Schedule, snapshot: ScheduleSnapshot) -> dict[str, Any]:
    """Return the fields of a schedule's Timetable; cron and interval are None if it has several times."""
    setting, timing = snapshot.setting, snapshot.timing
    return {
        "name": schedule.name,
        "cron": timing.cron or None if timing else None,
        "interval": timing.every.total_seconds() if timing and timing.every else None,
        "time_zone": setting.timing.time_zone,
        "overlap": setting.overlap.value,
        "catchup_window": round(setting.catchup.total_seconds()),
        "note": setting.note,
    }


def _current_timetable(schedule: Schedule) -> dict[str, Any]:
    with _schedule_errors():
        return timetable_of(schedule, _call(lambda schedules: schedules.describe(schedule.pk)))


def _changes(before: dict[str, Any], timetable: Timetable) -> str:
    after = timetable.model_dump(mode="json")
    return ", ".join(f"{name}: {before[name]} → {after[name]}" for name in before if before[name] != after[name])


def pause(person: Person, schedule: Schedule) -> None:
    """Pause a schedule. Raises PermissionDenied, OperationError."""
    with _audited(schedule, require_operator(person), "pause"):
        _call(lambda schedules: schedules.set_paused(schedule.pk, True))


def resume(person: Person, schedule: Schedule) -> None:
    """Resume a schedule. Raises PermissionDenied, OperationError."""
    with _audited(schedule, require_operator(person), "resume"):
        _call(lambda schedules: schedules.set_paused(schedule.pk, False))


def trigger(person: Person, schedule: Schedule) -> None:
    """Launch now. Raises PermissionDenied, OperationError (409 if the overlap policy would skip it)."""
    with _audited(schedule, require_operator(person), "trigger"):
        snapshot = _call(lambda schedules: schedules.describe(schedule.pk))
        if snapshot.running and snapshot.setting.overlap is Overlap.SKIP:
            raise OperationError(STILL_RUNNING, 409)
        _call(lambda schedules: schedules.trigger(schedule.pk))


def delete(person: Person, schedule: Schedule) -> None:
    """Delete a schedule from Temporal; its running batches continue. Raises PermissionDenied, OperationError."""

    async def delete_if_known(schedules: Schedules) -> None:
        try:
            await schedules.delete(schedule.pk)
        except ScheduleGone:
            return

    with _audited(schedule, require_operator(person), "delete"):
        _call(delete_if_known)
    Schedule.objects.filter(pk=schedule.pk).update(deleted_at=timezone.now())


def snapshots_of(schedules: Sequence[Schedule]) -> dict[str, ScheduleSnapshot]:
    """Return Temporal's state of schedules, by id. Raises OperationError (503) if it is unavailable."""
    with _schedule_errors():
        return _call(lambda at_temporal: at_temporal.describe_all([each.pk for each in schedules]))


def last_batches(schedules: Sequence[Schedule]) -> dict[str, Batch]:
    """Return the newest batch of each schedule that has launched one, by the schedule's id."""
    newest = Batch.objects.filter(schedule=OuterRef("pk")).order_by("-created_at", "-id").values("pk")[:1]
    found = Schedule.objects.filter(pk__in=[each.pk for each in schedules]).annotate(newest=Subquery(newest))
    ids = [pk for pk in found.values_list("newest", flat=True) if pk]
    return {str(batch.schedule_id): batch for batch in Batch.objects.filter(pk__in=ids)}


def _call(call: Callable[[Schedules], Awaitable[T]]) -> T:
    async def call_gateway() -> T:
        return await call(gateway().schedules)

    return async_to_sync(call_gateway)()


@contextmanager
def _schedule_errors() -> Iterator[None]:
    """Turn what a request about a schedule raises into FieldErrors and OperationErrors."""
    try:
        with temporal_errors():
            yield
    except TimingRefused as error:
        raise FieldErrors({error.field: error.reason}) from error
    except ScheduleGone as error:
        raise OperationError(SCHEDULE_GONE, 409) from error


@contextmanager
def _audited(schedule: Schedule, person: User, action: str, scope: str = "") -> Iterator[None]:
    """Write an audit entry with the outcome of the body. Raises OperationError (409) for a deleted schedule."""
    if schedule.deleted_at is not None:
        raise OperationError(_("This schedule was deleted."), 409)
    with audited(person, schedule, action, scope), _schedule_errors():
        yield
