"""Schedules: create, change, pause, resume, trigger, delete. Same permissions and actions as the pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.http import HttpRequest
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, ValidationError

from dashboard.accounts.permissions import require_operator
from dashboard.api.launch import BatchIn, launch_request
from dashboard.api.responses import COMMAND, OPERATION, PROBLEMS
from dashboard.errors import FieldErrors, reasons_by_field
from dashboard.inputs.source import list_source
from dashboard.inputs.uploads import store_upload
from dashboard.launching.request import LaunchRequest
from dashboard.models import Batch, Schedule
from dashboard.schedules import actions as schedule_actions
from dashboard.schedules.recurrence import timing_in_words
from dashboard.schedules.stored_launch import StoredLaunch
from dashboard.schedules.timetable import Timetable
from dashboard.server.public_url import url_for
from orchestration.client.schedule_models import Overlap, ScheduleSnapshot
from orchestration.processors.catalogue import shown_parameters

router = Router(tags=["Schedules"])

GIVEN_ITEMS = "items of the API"


class ScheduleIn(BatchIn):
    """A launch and its timing: either `cron` or `interval` (seconds); `catchup_window` is in seconds too."""

    name: str
    cron: str | None = None
    interval: float | None = None
    time_zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    catchup_window: int = 3600
    note: str = ""
    paused: bool = False


class SchedulePatch(Schema):
    """The fields to change: `cron` replaces an interval, and the other way round."""

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
    """The schedule in Temporal: timing (with the next ten times), policies, and counts of launches so far."""

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
    """A schedule: what it launches, and its state in Temporal (null once it has been deleted there)."""

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


@router.get("/schedules", response={200: list[ScheduleOut], **PROBLEMS})
def list_schedules(request: HttpRequest) -> list[dict[str, Any]]:
    """List schedules by name."""
    found = list(Schedule.objects.filter(deleted_at=None).select_related("made_by"))
    snapshots, last = schedule_actions.snapshots_of(found), schedule_actions.last_batches(found)
    return [_state(request, each, snapshots.get(each.pk), last.get(each.pk)) for each in found]


@router.post("/schedules", response={201: ScheduleOut, **PROBLEMS, **COMMAND})
def create_schedule(request: HttpRequest, given: ScheduleIn) -> Status[dict[str, Any]]:
    """Schedule a launch. Its items are stored, and launched at each time."""
    operator = require_operator(request.user)
    errors = dict[str, list[str]]()
    launch_input, timetable = None, None
    try:
        launch_input = launch_request(given)
    except FieldErrors as error:
        errors |= error.errors
    try:
        timetable = Timetable.model_validate({name: getattr(given, name) for name in Timetable.model_fields})
    except ValidationError as error:
        errors |= _timetable_errors(error)
    if launch_input is None or timetable is None:
        raise FieldErrors(errors)
    stored_launch = StoredLaunch.of(_with_stored_items(operator, given, launch_input))
    schedule = schedule_actions.create(operator, timetable, stored_launch, paused=given.paused)
    return Status(201, _current_state(request, schedule))


def _with_stored_items(person: User, given: ScheduleIn, launch_input: LaunchRequest) -> LaunchRequest:
    """Return the request with its items, if it has any, stored as an upload."""
    if given.items is None:
        return launch_input
    content = list_source(given.items, given.key or "").open().read()
    upload = store_upload(person, GIVEN_ITEMS, ContentFile(content))
    return replace(launch_input, source=launch_input.source | {"upload": upload.pk, "name": upload.name})


@router.get("/schedules/{schedule_id}", response={200: ScheduleOut, **PROBLEMS})
def get_schedule(request: HttpRequest, schedule_id: str) -> dict[str, Any]:
    """Return one schedule with its next ten times."""
    return _current_state(request, _schedule(schedule_id))


@router.patch("/schedules/{schedule_id}", response={200: ScheduleOut, **PROBLEMS, **COMMAND})
def change_schedule(request: HttpRequest, schedule_id: str, given: SchedulePatch) -> dict[str, Any]:
    """Change the timing, policies, name or note. What it launches cannot be changed."""
    operator = require_operator(request.user)
    schedule = _schedule(schedule_id)
    snapshot = schedule_actions.snapshots_of([schedule]).get(schedule.pk)
    if snapshot is None:
        raise HttpError(409, str(schedule_actions.SCHEDULE_GONE))
    changes = given.model_dump(exclude_unset=True)
    current = schedule_actions.timetable_of(schedule, snapshot)
    if {"cron", "interval"} & set(changes):
        current |= {"cron": None, "interval": None}
    try:
        timetable = Timetable.model_validate(current | changes)
    except ValidationError as error:
        raise FieldErrors(_timetable_errors(error)) from error
    schedule_actions.edit(operator, schedule, timetable)
    return _current_state(request, _schedule(schedule_id))


@router.delete("/schedules/{schedule_id}", response={204: None, **OPERATION})
def delete_schedule(request: HttpRequest, schedule_id: str) -> Status[None]:
    """Delete a schedule. Its batches are kept, and an open one continues."""
    schedule_actions.delete(request.user, _schedule(schedule_id))
    return Status(204, None)


@router.post("/schedules/{schedule_id}/pause", response=OPERATION)
def pause_schedule(request: HttpRequest, schedule_id: str) -> Status[dict[str, str]]:
    """Pause a schedule: nothing is launched until it is resumed."""
    schedule_actions.pause(request.user, _schedule(schedule_id))
    return Status(202, {"detail": "Paused."})


@router.post("/schedules/{schedule_id}/resume", response=OPERATION)
def resume_schedule(request: HttpRequest, schedule_id: str) -> Status[dict[str, str]]:
    """Resume a paused schedule."""
    schedule_actions.resume(request.user, _schedule(schedule_id))
    return Status(202, {"detail": "Resumed."})


@router.post("/schedules/{schedule_id}/trigger", response=OPERATION)
def trigger_schedule(request: HttpRequest, schedule_id: str) -> Status[dict[str, str]]:
    """Launch now, under the overlap policy: 409 if that is skip and a batch is open."""
    schedule_actions.trigger(request.user, _schedule(schedule_id))
    return Status(202, {"detail": "Triggered."})


def _schedule(schedule_id: str) -> Schedule:
    found = Schedule.objects.select_related("made_by", "upload").filter(pk=schedule_id, deleted_at=None).first()
    if found is None:
        raise HttpError(404, f"There is no schedule {schedule_id}.")
    return found


def _timetable_errors(error: ValidationError) -> dict[str, list[str]]:
    return {name or "cron": reasons for name, reasons in reasons_by_field(error.errors()).items()}


def _current_state(request: HttpRequest, schedule: Schedule) -> dict[str, Any]:
    snapshots, last = schedule_actions.snapshots_of([schedule]), schedule_actions.last_batches([schedule])
    return _state(request, schedule, snapshots.get(schedule.pk), last.get(schedule.pk))


def _state(
    request: HttpRequest, schedule: Schedule, snapshot: ScheduleSnapshot | None, last: Batch | None
) -> dict[str, Any]:
    return {
        "id": schedule.pk,
        "name": schedule.name,
        "url": url_for(request, "schedule-detail", schedule.pk),
        "processor": schedule.processor,
        "label": schedule.request["label"],
        "parameters": shown_parameters(schedule.processor, schedule.request["parameters"]),
        "plan": schedule.request["plan"],
        "items": schedule.item_count,
        "made_by": schedule.made_by.get_username(),
        "made_at": schedule.made_at,
        "last_batch": {"id": last.pk, "status": last.status} if last else None,
        "temporal": _temporal_state(schedule, snapshot) if snapshot else None,
    }


def _temporal_state(schedule: Schedule, snapshot: ScheduleSnapshot) -> dict[str, Any]:
    return schedule_actions.timetable_of(schedule, snapshot) | {
        "words": timing_in_words(snapshot.timing),
        "paused": snapshot.setting.paused,
        "next_times": snapshot.next_times,
        "running": snapshot.running,
        "launched": snapshot.launched,
        "skipped": snapshot.skipped,
        "missed": snapshot.missed,
    }
