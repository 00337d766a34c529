"""Schedules: the list, the page of one, and its actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from dashboard.accounts.permissions import Person, may_operate
from dashboard.errors import OperationError
from dashboard.live.state import batch_state
from dashboard.models import Schedule
from dashboard.pages.batch_list import BatchRow
from dashboard.pages.schedules import ScheduleDetailPage, ScheduleListPage, ScheduleRow
from dashboard.schedules import actions as schedule_actions
from dashboard.server.paging import page_of
from dashboard.server.requests import HtmxHttpRequest, page_number, wants_fragment
from orchestration.client.schedule_models import ScheduleSnapshot

SCHEDULES_PER_PAGE = 50
RECENT_BATCHES = 10
ENTRIES = 50


@require_safe
def schedule_list(request: HtmxHttpRequest) -> HttpResponse:
    """Show schedules by name."""
    found = Schedule.objects.filter(deleted_at=None).select_related("made_by")
    page = page_of(found, page_number(request), SCHEDULES_PER_PAGE)
    snapshots, problem = _snapshots(list(page))
    last = schedule_actions.last_batches(list(page))
    rows = [ScheduleRow(each, snapshots.get(each.pk), last.get(each.pk)) for each in page]
    context = ScheduleListPage(page, rows, problem, may_operate(request.user))
    return render(request, "schedules/schedule_list.html", {"page": context})


@require_safe
def schedule_detail(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Show one schedule: next times, batches, actions, audit entries."""
    schedule = get_object_or_404(Schedule.objects.select_related("made_by", "upload"), pk=schedule_id)
    page = _detail_page(request, schedule)
    if not wants_fragment(request):
        return render(request, "schedules/schedule_detail.html", {"page": page})
    if request.GET.get("mark") == page.mark:
        return HttpResponse(status=204)
    return render(request, "schedules/schedule_detail.html#now", {"page": page})


@require_POST
def schedule_pause(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Pause a schedule."""
    return _act(request, schedule_id, schedule_actions.pause, _("Paused: nothing launches until you resume it."))


@require_POST
def schedule_resume(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Resume a paused schedule."""
    return _act(request, schedule_id, schedule_actions.resume, "Resumed.")


@require_POST
def schedule_trigger(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Launch now."""
    return _act(request, schedule_id, schedule_actions.trigger, _("Triggered: a batch launches in a moment."))


@require_POST
def schedule_delete(request: HtmxHttpRequest, schedule_id: str) -> HttpResponse:
    """Delete a schedule; its batches are kept."""
    return _act(request, schedule_id, schedule_actions.delete, _("Deleted. Its batches are kept."))


def _act(
    request: HtmxHttpRequest, schedule_id: str, operate: Callable[[Person, Schedule], None], done: str
) -> HttpResponse:
    """Run an action and show its outcome: in place, or without htmx as a message on the page."""
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
            request, "schedules/schedule_detail.html#all", {"page": _detail_page(request, schedule)}, status=status
        )
    return HttpResponseRedirect(reverse("schedule-detail", args=[schedule.pk]))


def _detail_page(request: HtmxHttpRequest, schedule: Schedule) -> ScheduleDetailPage:
    snapshots, problem = _snapshots([schedule]) if schedule.deleted_at is None else ({}, "")
    batches = list(schedule.batches.select_related("launched_by")[:RECENT_BATCHES])
    entries = list(schedule.entries.select_related("person")[:ENTRIES])
    failed = next((entry for entry in entries if entry.action == "launch"), None)
    return ScheduleDetailPage(
        row=ScheduleRow(schedule, snapshots.get(schedule.pk), batches[0] if batches else None),
        batches=[BatchRow(batch, batch_state(batch)) for batch in batches],
        entries=entries,
        failure=failed if failed and not (batches and batches[0].created_at > failed.at) else None,
        problem=problem,
        may_operate=may_operate(request.user),
        confirm=request.GET.get("confirm", ""),
    )


def _snapshots(schedules: Sequence[Schedule]) -> tuple[dict[str, ScheduleSnapshot], str]:
    """Return the snapshots in Temporal by schedule id, and why they could not be read."""
    try:
        return schedule_actions.snapshots_of(schedules), ""
    except OperationError:
        return {}, _("Can't reach Temporal, so times and states are unknown. Schedules are kept.")
