"""The catalogue of processors and the launch form."""

from __future__ import annotations

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.accounts.permissions import require_operator
from dashboard.errors import FieldErrors
from dashboard.launching.launch import launch as launch_batch
from dashboard.models import Batch
from dashboard.pages.launch import LaunchPage
from dashboard.pages.launch_bound import bound_page
from dashboard.pages.launch_catalogue import catalogue_page
from dashboard.pages.launch_initial import initial_page
from dashboard.server.requests import HtmxHttpRequest, wants_fragment
from orchestration.plan.presets import Preset, UnknownPreset, get_preset
from orchestration.processors.catalogue import UnknownProcessor, get_processor
from orchestration.processors.processor import Processor


@require_safe
def launch_catalogue(request: HtmxHttpRequest) -> HttpResponse:
    """Show what can be launched."""
    template = "launch/launch_catalogue.html"
    return render(
        request, f"{template}#found" if wants_fragment(request) else template, {"page": catalogue_page(request)}
    )


@require_http_methods(["GET", "HEAD", "POST"])
def launch(request: HttpRequest, name: str) -> HttpResponse:
    """Show the launch form of a processor, or launch a batch."""
    processor = find_processor(name)
    if request.method != "POST":
        made = Q(processor=name) | Q(source__form=name)
        like = Batch.objects.filter(made, pk=request.GET.get("like", "")).first()
        return render(
            request, "launch/launch.html", {"page": initial_page(request, processor, like, _preset(request, name))}
        )
    require_operator(request.user)
    return launch_from(request, bound_page(request, processor))


def launch_from(request: HttpRequest, page: LaunchPage) -> HttpResponse:
    """Launch a batch from a bound page, or show the page with its errors."""
    operator = require_operator(request.user)
    if not page.is_valid:
        return render(request, "launch/launch.html", {"page": page}, status=422)
    try:
        launched = launch_batch(operator, page.request())
    except FieldErrors as error:
        page.add_plan_errors(error.errors)
        return render(request, "launch/launch.html", {"page": page}, status=422)
    return HttpResponseRedirect(reverse("batch-detail", args=[launched.batch.pk]))


@require_POST
def launch_preview(request: HttpRequest, name: str) -> HttpResponse:
    """Preview a launch: survey the items, and store a chosen file."""
    require_operator(request.user)
    return render(
        request, "launch/launch.html#answer", {"page": bound_page(request, find_processor(name)), "swap": True}
    )


def find_processor(name: str) -> Processor:
    """Return a processor by name. Raises Http404."""
    try:
        return get_processor(name)
    except UnknownProcessor:
        raise Http404(_("There is no processor %(name)s.") % {"name": repr(name)}) from None


def _preset(request: HttpRequest, processor: str) -> Preset | None:
    """Return the preset in the query string; None for an unknown one, or one of another processor."""
    try:
        preset = get_preset(request.GET.get("preset", ""))
    except UnknownPreset:
        return None
    return preset if preset.processor == processor else None
