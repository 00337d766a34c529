"""The task queues with their workers."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.queries.task_queues import queues_page
from dashboard.server.requests import HtmxHttpRequest


@require_safe
def queue_list(request: HtmxHttpRequest) -> HttpResponse:
    """Show every queue; with htmx the table alone."""
    template = "queue_list.html#queues" if request.htmx else "queue_list.html"
    return render(request, template, {"page": queues_page()})
