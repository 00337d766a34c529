"""The API's schedules: the same permissions and the same path as the pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.http import HttpRequest
from django.urls import reverse
from ninja import Router, Schema
from ninja.errors import HttpError
from pydantic import ConfigDict, ValidationError

from dashboard.accounts.permissions import require_operator
from dashboard.api import schemas
from dashboard.api.launch_requests import launch_request
from dashboard.api.responses import OPERATION, PROBLEMS
from dashboard.errors import FieldErrors, reasons_by_field
from dashboard.inputs.source import list_source
from dashboard.inputs.uploads import keep
from dashboard.launching.request import LaunchRequest
from dashboard.models import Batch, Schedule
from dashboard.schedules import actions as schedule_actions
from dashboard.schedules.recurrence import timing_in_words
from dashboard.schedules.stored_launch import StoredLaunch
from dashboard.schedules.timetable import Timetable
from orchestration.client.schedule_models import Overlap, ScheduleSnapshot

router = Router(tags=["Schedules"])

GIVEN_ITEMS = "items of the API"


class ScheduleIn(schemas.BatchIn):
    """A launch and when: either `cron` or `interval` (seconds); `catchup_window` is in seconds too."""

    name: str
    cron: str | None = None
    interval: float | None = None
    time_zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    catchup_window: int = 3600
    note: str = ""
    paused: bool = False


class SchedulePatch(Schema):
    """What is to change: `cron` replaces an interval, and the other way round."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    cron: str | None = None
    interval: float | None = None
    time_zone: str | None = None
    overlap: Overlap | None = None
    catchup_window: int | None = None
    note: str | None = None


class LastBatch(Schema):
    """The newest batch of a schedule."""

    id: str
    status: str


class TemporalOut(Schema):
    """What Temporal holds: when (with its next ten times), under which policies, and what came of it so far."""

    cron: str | None
    interval: float | None
    time_zone: str
    words: str
    overlap: Overlap
    catchup_window: int
    paused: bool
    note: str
    next_times: list[datetime]
    running: int
    launched: int
    skipped: int
    missed: int


class ScheduleOut(Schema):
    """A schedule: what it launches, and when as Temporal holds it (null once somebody deleted it there)."""

    id: str
    name: str
    url: str
    processor: str
    label: str
    parameters: dict[str, Any]
    plan: dict[str, Any]
    items: int
    made_by: str
    made_at: datetime
    last_batch: LastBatch | None
    temporal: TemporalOut | None


READ = {**PROBLEMS, 503: schemas.Problem}


@router.get("/schedules", response={200: list[ScheduleOut], **READ})
def list_schedules(request: HttpRequest) -> list[dict[str, Any]]:
    """List schedules by name."""
    found = list(Schedule.objects.filter(deleted_at=None).select_related("made_by"))
    seen, last = schedule_actions.snapshots_of(found), schedule_actions.last_batches(found)
    return [_told(request, each, seen.get(each.pk), last.get(each.pk)) for each in found]


@router.post("/schedules", response={201: ScheduleOut, **READ})
def create_schedule(request: HttpRequest, given: ScheduleIn) -> tuple[int, dict[str, Any]]:
    """Schedule a launch. Items that are given are kept, and launched at each time."""
    operator = require_operator(request.user)
    errors = dict[str, list[str]]()
    asked, timetable = None, None
    try:
        asked = launch_request(given)
    except FieldErrors as error:
        errors |= error.errors
    try:
        timetable = Timetable.model_validate({name: getattr(given, name) for name in Timetable.model_fields})
    except ValidationError as error:
        errors |= _errors(error)
    if asked is None or timetable is None:
        raise FieldErrors(errors)
    kept = StoredLaunch.of(_kept(operator, given, asked))
    schedule = schedule_actions.create(operator, timetable, kept, paused=given.paused)
    return 201, _one(request, schedule)


def _kept(person: User, given: ScheduleIn, asked: LaunchRequest) -> LaunchRequest:
    """Return the request with its items kept as an upload, if it has any."""
    if given.items is None:
        return asked
    content = list_source(given.items, given.key or "").open().read()
    upload = keep(person, GIVEN_ITEMS, ContentFile(content))
    return replace(asked, source=asked.source | {"upload": upload.pk, "name": upload.name})


@router.get("/schedules/{schedule_id}", response={200: ScheduleOut, **READ})
def get_schedule(request: HttpRequest, schedule_id: str) -> dict[str, Any]:
    """Tell of one schedule, with its next ten times."""
    return _one(request, _schedule(schedule_id))


@router.patch("/schedules/{schedule_id}", response={200: ScheduleOut, **READ, 409: schemas.Problem})
def change_schedule(request: HttpRequest, schedule_id: str, given: SchedulePatch) -> dict[str, Any]:
    """Change when it launches, its policies, its name or note. What it launches stays."""
    operator = require_operator(request.user)
    schedule = _schedule(schedule_id)
    seen = schedule_actions.snapshots_of([schedule]).get(schedule.pk)
    if seen is None:
        raise HttpError(409, str(schedule_actions.GONE))
    changes = given.model_dump(exclude_unset=True)
    now = schedule_actions.timetable_of(schedule, seen)
    if {"cron", "interval"} & set(changes):
        now |= {"cron": None, "interval": None}
    try:
        timetable = Timetable.model_validate(now | changes)
    except ValidationError as error:
        raise FieldErrors(_errors(error)) from error
    schedule_actions.edit(operator, schedule, timetable)
    return _one(request, _schedule(schedule_id))


@router.delete("/schedules/{schedule_id}", response={204: None, **OPERATION})
def delete_schedule(request: HttpRequest, schedule_id: str) -> tuple[int, None]:
    """Launch nothing any more. Batches are kept, and an open one goes on."""
    schedule_actions.delete(request.user, _schedule(schedule_id))
    return 204, None


@router.post("/schedules/{schedule_id}/pause", response=OPERATION)
def pause_schedule(request: HttpRequest, schedule_id: str) -> tuple[int, dict[str, str]]:
    """Launch nothing until it is resumed."""
    schedule_actions.pause(request.user, _schedule(schedule_id))
    return 202, {"detail": "Paused."}


@router.post("/schedules/{schedule_id}/resume", response=OPERATION)
def resume_schedule(request: HttpRequest, schedule_id: str) -> tuple[int, dict[str, str]]:
    """Launch at its times again."""
    schedule_actions.resume(request.user, _schedule(schedule_id))
    return 202, {"detail": "Resumed."}


@router.post("/schedules/{schedule_id}/trigger", response=OPERATION)
def trigger_schedule(request: HttpRequest, schedule_id: str) -> tuple[int, dict[str, str]]:
    """Launch now, under the overlap policy: 409 where that is skip and a batch is open."""
    schedule_actions.trigger(request.user, _schedule(schedule_id))
    return 202, {"detail": "Triggered."}


def _schedule(schedule_id: str) -> Schedule:
    found = Schedule.objects.select_related("made_by", "upload").filter(pk=schedule_id, deleted_at=None).first()
    if found is None:
        raise HttpError(404, f"There is no schedule {schedule_id}.")
    return found


def _errors(error: ValidationError) -> dict[str, list[str]]:
    return {name or "cron": reasons for name, reasons in reasons_by_field(error.errors()).items()}


def _one(request: HttpRequest, schedule: Schedule) -> dict[str, Any]:
    seen, last = schedule_actions.snapshots_of([schedule]), schedule_actions.last_batches([schedule])
    return _told(request, schedule, seen.get(schedule.pk), last.get(schedule.pk))


def _told(
    request: HttpRequest, schedule: Schedule, seen: ScheduleSnapshot | None, last: Batch | None
) -> dict[str, Any]:
    return {
        "id": schedule.pk,
        "name": schedule.name,
        "url": request.build_absolute_uri(reverse("schedule-detail", args=[schedule.pk])),
        "processor": schedule.processor,
        "label": schedule.request["label"],
        "parameters": schedule.request["parameters"],
        "plan": schedule.request["plan"],
        "items": schedule.item_count,
        "made_by": schedule.made_by.get_username(),
        "made_at": schedule.made_at,
        "last_batch": {"id": last.pk, "status": last.status} if last else None,
        "temporal": _temporal(schedule, seen) if seen else None,
    }


def _temporal(schedule: Schedule, seen: ScheduleSnapshot) -> dict[str, Any]:
    return schedule_actions.timetable_of(schedule, seen) | {
        "words": timing_in_words(seen.timing),
        "paused": seen.setting.paused,
        "next_times": seen.next_times,
        "running": seen.running,
        "launched": seen.launched,
        "skipped": seen.skipped,
        "missed": seen.missed,
    }
