"""The list of schedules, the page of one, and its buttons."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.core.paginator import Page
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from dashboard.accounts.permissions import Person, may_operate
from dashboard.errors import OperationError
from dashboard.i18n.formatting import StrOrPromise
from dashboard.live.state import batch_state
from dashboard.models import Batch, Schedule, ScheduleEntry
from dashboard.pages.batch_list import BatchRow
from dashboard.pages.schedule_form import OVERLAPS
from dashboard.schedules import actions as schedule_actions
from dashboard.schedules.recurrence import timing_in_words
from dashboard.server.paging import page_of
from dashboard.server.requests import HtmxHttpRequest, page_number, wants_fragment
from orchestration.client.schedule_models import ScheduleSnapshot

SCHEDULES_PER_PAGE = 50
RECENT_BATCHES = 10
ENTRIES = 50


@dataclass(frozen=True)
class ScheduleRow:
    """A schedule, what Temporal says of it (None: it does not know it, or is away), and its last batch."""

    schedule: Schedule
    seen: ScheduleSnapshot | None
    last: Batch | None = None

    @property
    def words(self) -> str:
        """When, in words."""
        return timing_in_words(self.seen.timing) if self.seen else ""

    @property
    def overlap(self) -> tuple[StrOrPromise, StrOrPromise]:
        """The overlap policy's title and sentence."""
        return OVERLAPS[self.seen.setting.overlap] if self.seen else ("", "")


@dataclass(frozen=True)
class ListPage:
    """Context of the list. `problem` says why Temporal was not asked."""

    page: Page[Schedule]
    rows: Sequence[ScheduleRow]
    problem: str
    may_operate: bool


@dataclass(frozen=True)
class DetailPage:
    """Context of a schedule's page. `failure` is a launch that failed since the last batch."""

    row: ScheduleRow
    batches: Sequence[BatchRow]
    entries: Sequence[ScheduleEntry]
    failure: ScheduleEntry | None
    problem: str
    may_operate: bool
    confirm: str

    @property
    def mark(self) -> str:
        """What changes when that does which time changes: a page that has it already is left in peace."""
        shown = [
            self.row.seen,
            self.failure,
            self.problem,
            [(row.batch.pk, row.batch.revision) for row in self.batches],
        ]
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


@require_safe
def schedule_list(request: HtmxHttpRequest) -> HttpResponse:
    """Show schedules by name."""
    found = Schedule.objects.filter(deleted_at=None).select_related("made_by")
    page = page_of(found, page_number(request), SCHEDULES_PER_PAGE)
    seen, problem = _seen(list(page))
    last = schedule_actions.last_batches(list(page))
    rows = [ScheduleRow(each, seen.get(each.pk), last.get(each.pk)) for each in page]
    context = ListPage(page, rows, problem, may_operate(request.user))
    return render(request, "schedules/schedule_list.html", {"page": context})


@require_safe
def schedule_detail(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Show one schedule: next times, batches, buttons, who did what."""
    schedule = get_object_or_404(Schedule.objects.select_related("made_by", "upload"), pk=schedule_id)
    page = _detail(request, schedule)
    if not wants_fragment(request):
        return render(request, "schedules/schedule_detail.html", {"page": page})
    if request.GET.get("mark") == page.mark:
        return HttpResponse(status=204)
    return render(request, "schedules/schedule_detail.html#now", {"page": page})


@require_POST
def schedule_pause(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Launch nothing until it is resumed."""
    return _do(request, schedule_id, schedule_actions.pause, _("Paused: nothing launches until you resume it."))


@require_POST
def schedule_resume(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Launch at its times again."""
    return _do(request, schedule_id, schedule_actions.resume, "Resumed.")


@require_POST
def schedule_trigger(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Launch now."""
    return _do(request, schedule_id, schedule_actions.trigger, _("Triggered: a batch launches in a moment."))


@require_POST
def schedule_delete(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Delete it."""
    return _do(request, schedule_id, schedule_actions.delete, _("Deleted. Its batches are kept."))


def _do(
    request: HtmxHttpRequest, schedule_id: str, operate: Callable[[Person, Schedule], None], done: str
) -> HttpResponse:
    """Do one thing and say what became of it: in place, or without htmx as a message on the page."""
    schedule = get_object_or_404(Schedule.objects.select_related("made_by", "upload"), pk=schedule_id)
    status = 200
    try:
        operate(request.user, schedule)
        messages.success(request, done)
    except OperationError as error:
        messages.error(request, error.message)
        status = error.status_code
    if wants_fragment(request):
        schedule.refresh_from_db()
        return render(
            request, "schedules/schedule_detail.html#all", {"page": _detail(request, schedule)}, status=status
        )
    return HttpResponseRedirect(reverse("schedule-detail", args=[schedule.pk]))


def _detail(request: HtmxHttpRequest, schedule: Schedule) -> DetailPage:
    seen, problem = _seen([schedule]) if schedule.deleted_at is None else ({}, "")
    batches = list(schedule.batches.select_related("launched_by")[:RECENT_BATCHES])
    entries = list(schedule.entries.select_related("person")[:ENTRIES])
    failed = next((entry for entry in entries if entry.action == "launch"), None)
    return DetailPage(
        row=ScheduleRow(schedule, seen.get(schedule.pk), batches[0] if batches else None),
        batches=[BatchRow(batch, batch_state(batch)) for batch in batches],
        entries=entries,
        failure=failed if failed and not (batches and batches[0].created_at > failed.at) else None,
        problem=problem,
        may_operate=may_operate(request.user),
        confirm=request.GET.get("confirm", ""),
    )


def _seen(schedules: Sequence[Schedule]) -> tuple[dict[str, ScheduleSnapshot], str]:
    """Return what Temporal says, and why it could not be asked."""
    try:
        return schedule_actions.snapshots_of(schedules), ""
    except OperationError:
        return {}, _("Can't reach Temporal, so times and states are unknown. Schedules are kept.")
