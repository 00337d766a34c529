"""Scheduling: what a person may do to schedules. The one path of the pages and the API.

Each asks for the operator's role, asks Temporal through the gateway, and leaves an entry with its outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Annotated, Any, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from dashboard.auditing import OperationError
from dashboard.models import Batch
from dashboard.permissions import Person, require_operator
from dashboard.schedule_models import Schedule, ScheduleEntry
from dashboard.schedule_request import KeptLaunch
from dashboard.temporal import gateway
from orchestration.connection import TemporalUnavailable
from orchestration.schedules import (
    MIN_CATCHUP,
    MIN_INTERVAL,
    Overlap,
    ScheduleGone,
    Schedules,
    ScheduleSeen,
    Setting,
    Timing,
    TimingRefused,
)

GONE = gettext_lazy(
    "Temporal does not know this schedule any more: somebody deleted it there. Delete it here, and make another."
)
NOT_NOW = gettext_lazy(
    "A batch of this schedule is still open, and its overlap policy is to skip: nothing new was launched."
)

T = TypeVar("T")
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


def time_zones() -> list[str]:
    """Return the names of time zones that a person may choose, UTC first."""
    skipped = ("posix", "right", "Etc/", "US/", "SystemV/")
    named = {name for name in available_timezones() if "/" in name and not name.startswith(skipped)}
    return ["UTC", *sorted(named)]


class Timetable(BaseModel):
    """What a person says of a schedule: either `cron` or `interval` (seconds); `catchup_window` is in seconds too."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    cron: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None = None
    interval: float | None = Field(default=None, ge=MIN_INTERVAL.total_seconds(), le=3650 * 86_400)
    time_zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    catchup_window: int = Field(default=3600, ge=int(MIN_CATCHUP.total_seconds()), le=365 * 86_400)
    note: str = Field(default="", max_length=500)

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(
                _("There is no time zone %(name)s. Names are like UTC or Europe/Berlin.") % {"name": repr(name)}
            )
        return name

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.cron is None) == (self.interval is None):
            raise ValueError(_("Give either cron or interval."))
        return self

    @property
    def timing(self) -> Timing:
        """When, as Temporal is asked."""
        every = timedelta(seconds=self.interval) if self.interval is not None else None
        return Timing(self.cron or "", every, self.time_zone)

    def setting(self, *, paused: bool = False) -> Setting:
        """All that Temporal holds."""
        return Setting(self.timing, self.overlap, timedelta(seconds=self.catchup_window), paused, self.note)


class Refused(Exception):
    """Nothing was done: what is wrong with which field."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("Some fields are not valid.")
        self.errors = errors


def next_times(timing: Timing) -> list[datetime]:
    """Return the next ten times, in their own time zone. Raises Refused; OperationError 503 where Temporal is away."""
    with _told():
        times = _ask(lambda schedules: schedules.next_times(timing))
    return [at.astimezone(ZoneInfo(timing.time_zone)) for at in times]


def create(person: Person, timetable: Timetable, kept: KeptLaunch, *, paused: bool = False) -> Schedule:
    """Make a schedule of a launch, or return the one made of it before. Raises PermissionDenied, Refused,
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
        with _told():
            _ask(lambda schedules: schedules.create(schedule.pk, timetable.setting(paused=paused)))
    except Exception:
        schedule.delete()
        raise
    _note(schedule, operator, "make", "paused" if paused else "")
    return schedule


def edit(person: Person, schedule: Schedule, timetable: Timetable) -> None:
    """Change when a schedule launches, and its name. Raises PermissionDenied, Refused, OperationError."""
    operator = require_operator(person)
    next_times(timetable.timing)
    before = _before(schedule)
    with _recorded(schedule, operator, "edit", _changes(before, timetable)):
        _ask(lambda schedules: schedules.update(schedule.pk, timetable.setting()))
    Schedule.objects.filter(pk=schedule.pk).update(name=timetable.name)


def timetable_of(schedule: Schedule, seen: ScheduleSeen) -> dict[str, Any]:
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
    with _told():
        return timetable_of(schedule, _ask(lambda schedules: schedules.describe(schedule.pk)))


def _changes(before: dict[str, Any], timetable: Timetable) -> str:
    after = timetable.model_dump(mode="json")
    return ", ".join(f"{name}: {before[name]} → {after[name]}" for name in before if before[name] != after[name])


def pause(person: Person, schedule: Schedule) -> None:
    """Launch nothing until it is resumed. Raises PermissionDenied, OperationError."""
    with _recorded(schedule, require_operator(person), "pause"):
        _ask(lambda schedules: schedules.set_paused(schedule.pk, True))


def resume(person: Person, schedule: Schedule) -> None:
    """Launch again at its times. Raises PermissionDenied, OperationError."""
    with _recorded(schedule, require_operator(person), "resume"):
        _ask(lambda schedules: schedules.set_paused(schedule.pk, False))


def trigger(person: Person, schedule: Schedule) -> None:
    """Launch now. Raises PermissionDenied, OperationError (409 where the overlap policy would skip it)."""
    with _recorded(schedule, require_operator(person), "trigger"):
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

    with _recorded(schedule, require_operator(person), "delete"):
        _ask(ask)
    Schedule.objects.filter(pk=schedule.pk).update(deleted_at=timezone.now())


def seen_of(schedules: Sequence[Schedule]) -> dict[str, ScheduleSeen]:
    """Return what Temporal says of schedules, by id. Raises OperationError 503 where it is away."""
    with _told():
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
def _told() -> Iterator[None]:
    """Turn what Temporal makes of a question into what a person is told."""
    try:
        yield
    except TimingRefused as error:
        raise Refused({error.field: [error.reason]}) from error
    except ScheduleGone as error:
        raise OperationError(GONE, 409) from error
    except TemporalUnavailable as error:
        raise OperationError(
            _("%(error)s Nothing was changed; try again in a moment.") % {"error": error}, 503
        ) from error


@contextmanager
def _recorded(schedule: Schedule, person: User, action: str, scope: str = "") -> Iterator[None]:
    """Leave an entry with the outcome of what is done inside."""
    if schedule.deleted_at is not None:
        raise OperationError(_("This schedule was deleted."), 409)
    outcome = "Accepted."
    try:
        with _told():
            yield
    except OperationError as error:
        outcome = f"Not done: {error.message}"
        raise
    finally:
        _note(schedule, person, action, scope, outcome)


def _note(schedule: Schedule, person: User, action: str, scope: str, outcome: str = "Accepted.") -> None:
    ScheduleEntry.objects.create(schedule=schedule, person=person, action=action, scope=scope[:500], outcome=outcome)
