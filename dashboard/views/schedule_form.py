"""The form of a schedule: a new one from a launch form, or an edit, with a preview of its next times."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.accounts.permissions import require_operator
from dashboard.errors import FieldErrors, OperationError
from dashboard.forms.schedules import TimetableForm, initial_of
from dashboard.models import DefinitionVersion, Schedule
from dashboard.pages.definition_launch import DefinitionLaunchPage, definition_launch_page
from dashboard.pages.launch import LaunchPage
from dashboard.pages.launch_bound import bound_page
from dashboard.pages.launch_initial import initial_page
from dashboard.pages.schedules import ScheduleFormPage, launch_changes
from dashboard.schedules import actions as schedule_actions
from dashboard.schedules.stored_launch import StoredLaunch
from dashboard.views.definition_launch import item_processor
from dashboard.views.launch import find_processor

STALE = gettext_lazy("The launch data was lost. Fill in the launch form again; nothing was created.")


@require_POST
def launch_schedule(request: HttpRequest, name: str) -> HttpResponse:
    """Take a launch form to schedule, and show the form of its timing."""
    require_operator(request.user)
    launch = bound_page(request, find_processor(name))
    if not launch.is_valid:
        return render(request, "launch/launch.html", {"page": launch}, status=422)
    return _new_form(request, StoredLaunch.of(launch.request()), launch.processor.title)


@require_POST
def schedule_saved(request: HttpRequest, version_id: int) -> HttpResponse:
    """Take the launch form of a saved definition to schedule, and show the form of its timing."""
    require_operator(request.user)
    version = get_object_or_404(DefinitionVersion, pk=version_id)
    page: LaunchPage | DefinitionLaunchPage
    if processor := item_processor(version):
        page, template = bound_page(request, processor, version), "launch/launch.html"
    else:
        page, template = definition_launch_page(request, version), "definitions/definition_launch.html"
    if not page.is_valid:
        return render(request, template, {"page": page}, status=422)
    return _new_form(request, StoredLaunch.of(page.request()), version.definition.name)


def _new_form(request: HttpRequest, stored_launch: StoredLaunch, title: str) -> HttpResponse:
    """Show the form of a new schedule with its defaults and their next times."""
    initial = initial_of({}) | {"name": stored_launch.data["label"] or title}
    page = ScheduleFormPage(TimetableForm(initial=initial), stored_launch)
    preview = ScheduleFormPage(TimetableForm(initial), stored_launch)
    preview.preview_times()
    page.times, page.problem = preview.times, preview.problem
    return render(request, "schedules/schedule_form.html", {"page": page})


@require_POST
def schedule_create(request: HttpRequest) -> HttpResponse:
    """Create the schedule, or show the form again with its errors."""
    operator = require_operator(request.user)
    page = _bound_page(request)
    if page is None:
        messages.error(request, STALE)
        return HttpResponseRedirect(reverse("launch-catalogue"))

    def create(form: TimetableForm) -> Schedule:
        paused = form.cleaned_data["paused"]
        return schedule_actions.create(operator, form.timetable, page.stored_launch, paused=paused)

    return _save(request, page, create)


@require_POST
def schedule_preview(request: HttpRequest) -> HttpResponse:
    """Show the next ten times of the form."""
    require_operator(request.user)
    page = ScheduleFormPage(TimetableForm(request.POST), StoredLaunch({}, 0))
    page.preview_times()
    return render(request, "schedules/schedule_form.html#times", {"page": page})


@require_http_methods(["GET", "HEAD", "POST"])
def schedule_edit(request: HttpRequest, schedule_id: str) -> HttpResponse:
    """Show the form of an existing schedule, or save it."""
    operator = require_operator(request.user)
    schedule = get_object_or_404(Schedule, pk=schedule_id, deleted_at=None)
    if request.method != "POST":
        return _edit_form(request, schedule)
    page = ScheduleFormPage(TimetableForm(request.POST), _stored_launch(schedule), schedule)

    def edit(form: TimetableForm) -> Schedule:
        schedule_actions.edit(operator, schedule, form.timetable)
        return schedule

    return _save(request, page, edit)


@require_http_methods(["GET", "HEAD", "POST"])
def schedule_launch(request: HttpRequest, schedule_id: str) -> HttpResponse:
    """Show the launch form of what a schedule launches, or save it."""
    operator = require_operator(request.user)
    schedule = get_object_or_404(Schedule, pk=schedule_id, deleted_at=None)
    page, template = _launch_page(request, schedule)
    if request.method != "POST":
        return render(request, template, {"page": page})
    if not page.is_valid:
        return render(request, template, {"page": page}, status=422)
    stored = StoredLaunch.of(page.request())
    schedule_actions.change_launch(operator, schedule, stored, launch_changes(schedule, stored))
    messages.success(request, _("Saved. The next launch uses it."))
    return HttpResponseRedirect(reverse("schedule-detail", args=[schedule.pk]))


def _launch_page(request: HttpRequest, schedule: Schedule) -> tuple[LaunchPage | DefinitionLaunchPage, str]:
    """Return the page of a schedule's launch, bound if it was submitted, and its template."""
    version, processor = None, None
    if schedule.request.get("definition") is not None:
        version = get_object_or_404(DefinitionVersion, pk=schedule.request["definition"])
        processor = item_processor(version)
        if processor is None:
            return definition_launch_page(request, version, schedule), "definitions/definition_launch.html"
    processor = processor or find_processor(schedule.processor)
    if request.method == "POST":
        return bound_page(request, processor, version, schedule), "launch/launch.html"
    return initial_page(request, processor, version=version, schedule=schedule), "launch/launch.html"


def _edit_form(request: HttpRequest, schedule: Schedule) -> HttpResponse:
    """Show the schedule as it is in Temporal, or redirect to its page with the reason why it cannot be read."""
    try:
        snapshot = schedule_actions.snapshots_of([schedule]).get(schedule.pk)
    except OperationError as error:
        messages.error(request, error.message)
        return HttpResponseRedirect(reverse("schedule-detail", args=[schedule.pk]))
    if snapshot is None:
        messages.error(request, schedule_actions.SCHEDULE_GONE)
        return HttpResponseRedirect(reverse("schedule-detail", args=[schedule.pk]))
    initial = initial_of(schedule_actions.timetable_of(schedule, snapshot))
    page = ScheduleFormPage(
        TimetableForm(initial=initial), _stored_launch(schedule), schedule, times=snapshot.local_times
    )
    return render(request, "schedules/schedule_form.html", {"page": page})


def _stored_launch(schedule: Schedule) -> StoredLaunch:
    return StoredLaunch(schedule.request, schedule.item_count)


def _bound_page(request: HttpRequest) -> ScheduleFormPage | None:
    try:
        stored_launch = StoredLaunch.from_token(request.POST.get("launch", ""))
    except BadSignature:
        return None
    return ScheduleFormPage(TimetableForm(request.POST), stored_launch)


def _save(request: HttpRequest, page: ScheduleFormPage, save: Callable[[TimetableForm], Schedule]) -> HttpResponse:
    """Save a valid form and redirect; else show it again with its errors, its times, or the reason of a failure."""
    if "show" not in request.POST and page.form.is_valid():
        try:
            schedule = save(page.form)
        except FieldErrors as error:
            page.form.add_errors(error.errors)
        except OperationError as error:
            page.problem = error.message
        else:
            return HttpResponseRedirect(reverse("schedule-detail", args=[schedule.pk]))
    page.preview_times()
    if page.problem:
        return render(request, "schedules/schedule_form.html", {"page": page}, status=503)
    return render(request, "schedules/schedule_form.html", {"page": page}, status=422 if page.form.errors else 200)
