"""Scheduling: what a person may do to schedules. The one path of the pages and the API.

Each asks for the operator's role, asks Temporal through the gateway, and leaves an entry with its outcome.
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

GONE = gettext_lazy(
    "Temporal does not know this schedule any more: somebody deleted it there. Delete it here, and make another."
)
NOT_NOW = gettext_lazy(
    "A batch of this schedule is still open, and its overlap policy is to skip: nothing new was launched."
)

T = TypeVar("T")


def next_times(timing: Timing) -> list[datetime]:
    """Return the next ten times, in their own time zone. Raises FieldErrors, and OperationError
    (503) where Temporal is away.
    """
    with _schedule_errors():
        times = _ask(lambda schedules: schedules.next_times(timing))
    return [at.astimezone(ZoneInfo(timing.time_zone)) for at in times]


def create(person: Person, timetable: Timetable, kept: StoredLaunch, *, paused: bool = False) -> Schedule:
    """Make a schedule of a launch, or return the one made of it before. Raises PermissionDenied, FieldErrors,
    OperationError.
    """
    operator = require_operator(person)
    next_times(timetable.timing)
    schedule, is_new = Schedule.objects.get_or_create(
        id=kept.id,
        defaults={
            "name": timetable.name,
            "request": kept.data,
            "item_count": kept.count,
            "upload_id": kept.data["source"].get("upload"),
            "made_by": operator,
        },
    )
    if not is_new:
        return schedule
    try:
        with _schedule_errors():
            _ask(lambda schedules: schedules.create(schedule.pk, timetable.setting(paused=paused)))
    except Exception:
        schedule.delete()
        raise
    record(operator, schedule, "make", "paused" if paused else "")
    return schedule


def edit(person: Person, schedule: Schedule, timetable: Timetable) -> None:
    """Change when a schedule launches, and its name. Raises PermissionDenied, FieldErrors, OperationError."""
    operator = require_operator(person)
    next_times(timetable.timing)
    before = _before(schedule)
    with _audited(schedule, operator, "edit", _changes(before, timetable)):
        _ask(lambda schedules: schedules.update(schedule.pk, timetable.setting()))
    Schedule.objects.filter(pk=schedule.pk).update(name=timetable.name)


def timetable_of(schedule: Schedule, seen: ScheduleSnapshot) -> dict[str, Any]:
    """Return what a Timetable of a schedule is made from; without cron and interval where it has several."""
    setting, timing = seen.setting, seen.timing
    return {
        "name": schedule.name,
        "cron": timing.cron or None if timing else None,
        "interval": timing.every.total_seconds() if timing and timing.every else None,
        "time_zone": setting.timing.time_zone,
        "overlap": setting.overlap.value,
        "catchup_window": round(setting.catchup.total_seconds()),
        "note": setting.note,
    }


def _before(schedule: Schedule) -> dict[str, Any]:
    with _schedule_errors():
        return timetable_of(schedule, _ask(lambda schedules: schedules.describe(schedule.pk)))


def _changes(before: dict[str, Any], timetable: Timetable) -> str:
    after = timetable.model_dump(mode="json")
    return ", ".join(f"{name}: {before[name]} → {after[name]}" for name in before if before[name] != after[name])


def pause(person: Person, schedule: Schedule) -> None:
    """Launch nothing until it is resumed. Raises PermissionDenied, OperationError."""
    with _audited(schedule, require_operator(person), "pause"):
        _ask(lambda schedules: schedules.set_paused(schedule.pk, True))


def resume(person: Person, schedule: Schedule) -> None:
    """Launch again at its times. Raises PermissionDenied, OperationError."""
    with _audited(schedule, require_operator(person), "resume"):
        _ask(lambda schedules: schedules.set_paused(schedule.pk, False))


def trigger(person: Person, schedule: Schedule) -> None:
    """Launch now. Raises PermissionDenied, OperationError (409 where the overlap policy would skip it)."""
    with _audited(schedule, require_operator(person), "trigger"):
        seen = _ask(lambda schedules: schedules.describe(schedule.pk))
        if seen.running and seen.setting.overlap is Overlap.SKIP:
            raise OperationError(NOT_NOW, 409)
        _ask(lambda schedules: schedules.trigger(schedule.pk))


def delete(person: Person, schedule: Schedule) -> None:
    """Delete a schedule from Temporal; open batches go on. Raises PermissionDenied, OperationError."""

    async def ask(schedules: Schedules) -> None:
        try:
            await schedules.delete(schedule.pk)
        except ScheduleGone:
            return

    with _audited(schedule, require_operator(person), "delete"):
        _ask(ask)
    Schedule.objects.filter(pk=schedule.pk).update(deleted_at=timezone.now())


def snapshots_of(schedules: Sequence[Schedule]) -> dict[str, ScheduleSnapshot]:
    """Return what Temporal says of schedules, by id. Raises OperationError 503 where it is away."""
    with _schedule_errors():
        return _ask(lambda at_temporal: at_temporal.describe_all([each.pk for each in schedules]))


def last_batches(schedules: Sequence[Schedule]) -> dict[str, Batch]:
    """Return the newest batch of each schedule that has launched one, by the schedule's id."""
    newest = Batch.objects.filter(schedule=OuterRef("pk")).order_by("-created_at", "-id").values("pk")[:1]
    found = Schedule.objects.filter(pk__in=[each.pk for each in schedules]).annotate(newest=Subquery(newest))
    ids = [pk for pk in found.values_list("newest", flat=True) if pk]
    return {str(batch.schedule_id): batch for batch in Batch.objects.filter(pk__in=ids)}


def _ask(call: Callable[[Schedules], Awaitable[T]]) -> T:
    async def ask() -> T:
        return await call(gateway().schedules)

    return async_to_sync(ask)()


@contextmanager
def _schedule_errors() -> Iterator[None]:
    """Turn what a request about a schedule raises into FieldErrors and OperationErrors."""
    try:
        with temporal_errors():
            yield
    except TimingRefused as error:
        raise FieldErrors({error.field: error.reason}) from error
    except ScheduleGone as error:
        raise OperationError(GONE, 409) from error


@contextmanager
def _audited(schedule: Schedule, person: User, action: str, scope: str = "") -> Iterator[None]:
    """Write an audit entry with the outcome of the body. Raises OperationError (409) for a deleted schedule."""
    if schedule.deleted_at is not None:
        raise OperationError(_("This schedule was deleted."), 409)
    with audited(person, schedule, action, scope), _schedule_errors():
        yield
