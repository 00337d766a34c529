"""Watching external workflows: enter a workflow id, or pick one of the recent parents."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from dashboard.accounts.permissions import may_operate
from dashboard.launching import watch as watching
from dashboard.launching.watch import UnknownWorkflow
from dashboard.pages.watch import WatchPage
from dashboard.server.requests import HtmxHttpRequest
from orchestration.temporal.connection import TemporalSlow, TemporalUnavailable


@require_http_methods(["GET", "HEAD", "POST"])
def workflow_watch(request: HtmxHttpRequest) -> HttpResponse:
    """Show the form, or watch the tree of a workflow. A GET with htmx shows the matching parents alone."""
    if request.method != "POST":
        template = "launch/watch.html#parents" if request.htmx else "launch/watch.html"
        return render(request, template, {"page": _page(request, "", "")})
    workflow_id = request.POST.get("workflow_id", "").strip()
    try:
        watched = watching.watch(request.user, workflow_id)
    except (UnknownWorkflow, TemporalUnavailable) as error:
        reason = str(error) if workflow_id else _("Enter a workflow id.")
        return render(request, "launch/watch.html", {"page": _page(request, workflow_id, reason)}, status=422)
    if watched.descendant:
        messages.info(
            request,
            _("%(workflow_id)s is part of this tree, which is watched as a whole.")
            % {"workflow_id": watched.descendant},
        )
    return HttpResponseRedirect(reverse("batch-detail", args=[watched.batch.pk]))


def _page(request: HtmxHttpRequest, workflow_id: str, error: str) -> WatchPage:
    search = request.GET.get("search", "")[:200]
    try:
        parents, unavailable = watching.suggested_parents(search), ""
    except TemporalSlow:
        parents, unavailable = (
            [],
            _("The search took longer than 5 s. Temporal answers: try again, or search for more."),
        )
    except TemporalUnavailable as problem:
        parents, unavailable = [], str(problem)
    return WatchPage(workflow_id, error, search, parents, unavailable, may_operate(request.user))
