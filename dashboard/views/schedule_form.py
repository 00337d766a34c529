"""The form of a schedule: from a launch form, with its next times as one types; and the same to edit one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.accounts.permissions import require_operator
from dashboard.errors import FieldErrors, OperationError
from dashboard.i18n.formatting import StrOrPromise
from dashboard.models import DefinitionVersion, Schedule
from dashboard.pages.definition_launch import LaunchDefinitionPage
from dashboard.pages.launch import LaunchPage, filled_page
from dashboard.pages.schedule_form import OVERLAPS, TimetableForm, initial_of
from dashboard.schedules import actions as schedule_actions
from dashboard.schedules.stored_launch import StoredLaunch
from dashboard.views.definitions import flow_page, item_processor
from dashboard.views.launch import find_processor

STALE = gettext_lazy("The launch data was lost. Fill in the launch form again; nothing was created.")


@dataclass
class FormPage:
    """Context of the schedule form. `kept` is what will be launched, `problem` why the times are not known."""

    form: TimetableForm
    kept: StoredLaunch
    schedule: Schedule | None = None
    times: Sequence[datetime] = ()
    problem: str = ""

    @property
    def processor(self) -> str:
        """What is launched."""
        return str(self.kept.data["processor"])

    @property
    def overlaps(self) -> Sequence[tuple[str, StrOrPromise, StrOrPromise]]:
        """Each overlap policy with its title and sentence."""
        return [(policy.value, title, sentence) for policy, (title, sentence) in OVERLAPS.items()]

    def look(self) -> None:
        """Find the next times, if the form says when."""
        self.form.is_valid()
        if self.form.timing is None or self.form.time_errors:
            return
        try:
            self.times = schedule_actions.next_times(self.form.timing)
        except FieldErrors as error:
            self.form.refuse(error.errors)
        except OperationError as error:
            self.problem = error.message


@require_POST
def launch_schedule(request: HttpRequest, name: str) -> HttpResponse:
    """Take a launch form that is to be scheduled, and ask when."""
    require_operator(request.user)
    launch = filled_page(request, find_processor(name))
    if not launch.is_valid:
        return render(request, "launch/launch.html", {"page": launch}, status=422)
    return _ask_when(request, StoredLaunch.of(launch.request()), launch.processor.title)


@require_POST
def schedule_saved(request: HttpRequest, version_id: int) -> HttpResponse:
    """Take the launch form of a saved definition that is to be scheduled, and ask when."""
    require_operator(request.user)
    version = get_object_or_404(DefinitionVersion, pk=version_id)
    page: LaunchPage | LaunchDefinitionPage
    if processor := item_processor(version):
        page, template = filled_page(request, processor, version), "launch/launch.html"
    else:
        page, template = flow_page(request, version), "definitions/definition_launch.html"
    if not page.is_valid:
        return render(request, template, {"page": page}, status=422)
    return _ask_when(request, StoredLaunch.of(page.request()), version.definition.name)


def _ask_when(request: HttpRequest, kept: StoredLaunch, title: str) -> HttpResponse:
    """Show the schedule form as it begins: with the times of what it proposes."""
    first = initial_of({}) | {"name": kept.data["label"] or title}
    page = FormPage(TimetableForm(initial=first), kept)
    looked = FormPage(TimetableForm(first), kept)
    looked.look()
    page.times, page.problem = looked.times, looked.problem
    return render(request, "schedules/schedule_form.html", {"page": page})


@require_POST
def schedule_create(request: HttpRequest) -> HttpResponse:
    """Make the schedule, or show the form again with what was typed and what is wrong with it."""
    operator = require_operator(request.user)
    page = _filled(request)
    if page is None:
        messages.error(request, STALE)
        return HttpResponseRedirect(reverse("launch-catalogue"))
    if "show" not in request.POST and page.form.is_valid():
        try:
            paused = page.form.cleaned_data["paused"]
            schedule = schedule_actions.create(operator, page.form.timetable, page.kept, paused=paused)
        except FieldErrors as error:
            page.form.refuse(error.errors)
        except OperationError as error:
            page.problem = error.message
        else:
            return HttpResponseRedirect(reverse("schedule-detail", args=[schedule.pk]))
    return _again(request, page)


@require_POST
def schedule_preview(request: HttpRequest) -> HttpResponse:
    """Show the next ten times of the form as it is."""
    require_operator(request.user)
    page = FormPage(TimetableForm(request.POST), StoredLaunch({}, 0))
    page.look()
    return render(request, "schedules/schedule_form.html#times", {"page": page})


@require_http_methods(["GET", "HEAD", "POST"])
def schedule_edit(request: HttpRequest, schedule_id: str) -> HttpResponse:
    """Show when a schedule launches, or change it."""
    operator = require_operator(request.user)
    schedule = get_object_or_404(Schedule, pk=schedule_id, deleted_at=None)
    if request.method != "POST":
        return _first(request, schedule)
    page = FormPage(TimetableForm(request.POST), _launch_of(schedule), schedule)
    if "show" not in request.POST and page.form.is_valid():
        try:
            schedule_actions.edit(operator, schedule, page.form.timetable)
        except FieldErrors as error:
            page.form.refuse(error.errors)
        except OperationError as error:
            page.problem = error.message
        else:
            return HttpResponseRedirect(reverse("schedule-detail", args=[schedule.pk]))
    return _again(request, page)


def _first(request: HttpRequest, schedule: Schedule) -> HttpResponse:
    """Show what Temporal holds, or say on the schedule's page why that cannot be told."""
    try:
        seen = schedule_actions.snapshots_of([schedule]).get(schedule.pk)
    except OperationError as error:
        messages.error(request, error.message)
        return HttpResponseRedirect(reverse("schedule-detail", args=[schedule.pk]))
    if seen is None:
        messages.error(request, schedule_actions.SCHEDULE_GONE)
        return HttpResponseRedirect(reverse("schedule-detail", args=[schedule.pk]))
    first = initial_of(schedule_actions.timetable_of(schedule, seen))
    page = FormPage(TimetableForm(initial=first), _launch_of(schedule), schedule, times=seen.local_times)
    return render(request, "schedules/schedule_form.html", {"page": page})


def _launch_of(schedule: Schedule) -> StoredLaunch:
    return StoredLaunch(schedule.request, schedule.item_count)


def _filled(request: HttpRequest) -> FormPage | None:
    try:
        kept = StoredLaunch.from_token(request.POST.get("launch", ""))
    except BadSignature:
        return None
    return FormPage(TimetableForm(request.POST), kept)


def _again(request: HttpRequest, page: FormPage) -> HttpResponse:
    """Show the form again: asked only for its times, with an error, or while Temporal is away."""
    page.look()
    if page.problem:
        return render(request, "schedules/schedule_form.html", {"page": page}, status=503)
    return render(request, "schedules/schedule_form.html", {"page": page}, status=422 if page.form.errors else 200)
