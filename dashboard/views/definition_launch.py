"""The launch of a saved definition, with or without items."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.accounts.permissions import require_operator
from dashboard.definitions.saving import check
from dashboard.launching.definition_request import first_processor
from dashboard.launching.launch import launch
from dashboard.models import Batch, DefinitionVersion
from dashboard.pages.definition_launch import definition_launch_page
from dashboard.pages.launch_bound import bound_page
from dashboard.pages.launch_initial import initial_page
from dashboard.server.requests import whole_number
from dashboard.views.launch import launch_from
from orchestration.processors.catalogue import get_processor
from orchestration.processors.processor import Processor


@require_http_methods(["GET", "HEAD", "POST"])
def definition_launch(request: HttpRequest) -> HttpResponse:
    """Show the launch form of a saved definition, or launch it."""
    if request.method == "POST":
        require_operator(request.user)
    version = get_object_or_404(DefinitionVersion, pk=whole_number(request.GET.get("definition", ""), 0))
    if processor := item_processor(version):
        return _launch_over_items(request, version, processor)
    page = definition_launch_page(request, version)
    if request.method != "POST":
        return render(request, "definitions/definition_launch.html", {"page": page})
    operator = require_operator(request.user)
    if not page.is_valid:
        return render(request, "definitions/definition_launch.html", {"page": page}, status=422)
    launched = launch(operator, page.request())
    return HttpResponseRedirect(reverse("batch-detail", args=[launched.batch.pk]))


@require_safe
def definition_form(request: HttpRequest, version_id: int) -> HttpResponse:
    """Redirect to the launch form of a version."""
    return HttpResponseRedirect(f"{reverse('definition-launch')}?definition={version_id}")


@require_POST
def definition_items_preview(request: HttpRequest, version_id: int) -> HttpResponse:
    """Preview a launch over items: survey the items, and store a chosen file."""
    require_operator(request.user)
    version = get_object_or_404(DefinitionVersion, pk=version_id)
    processor = item_processor(version)
    if processor is None:
        raise Http404(_("This definition takes no items."))
    return render(request, "launch/launch.html#answer", {"page": bound_page(request, processor, version), "swap": True})


def _launch_over_items(request: HttpRequest, version: DefinitionVersion, processor: Processor) -> HttpResponse:
    if request.method == "POST":
        return launch_from(request, bound_page(request, processor, version))
    like = Batch.objects.filter(pk=request.GET.get("like", ""), definition=version).first()
    return render(request, "launch/launch.html", {"page": initial_page(request, processor, like, version=version)})


def item_processor(version: DefinitionVersion) -> Processor | None:
    """Return the first processor of a valid definition that works over items; None for other definitions."""
    definition = check(version.text).definition
    name = first_processor(definition) if definition is not None else ""
    return get_processor(name) if name else None
