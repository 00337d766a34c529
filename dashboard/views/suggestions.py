"""Suggestions of a form field: workflow types and task queues that are in use in the namespace."""

from __future__ import annotations

from collections.abc import Sequence

from asgiref.sync import async_to_sync
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from dashboard.temporal import gateway
from orchestration.temporal.connection import TemporalUnavailable


@require_safe
def suggestions(request: HttpRequest, what: str) -> HttpResponse:
    """Return options for "workflow-types" or "workflow-queues"; none if Temporal is unreachable."""
    if what not in ("workflow-types", "workflow-queues"):
        raise Http404
    typed = str(next(iter(request.GET.values()), ""))
    return HttpResponse(format_html_join("", '<option value="{}">{}</option>', _options(what, typed)))


def _options(what: str, typed: str) -> Sequence[tuple[str, str]]:
    of_types = what == "workflow-types"
    try:
        used = async_to_sync(gateway().external.types)(typed if of_types else "")
    except TemporalUnavailable:
        return []
    if of_types:
        queues = {each.name: [other.task_queue for other in used if other.name == each.name] for each in used}
        return [(name, _("seen on %(queues)s") % {"queues": ", ".join(found)}) for name, found in queues.items()]
    types = {each.task_queue: [other.name for other in used if other.task_queue == each.task_queue] for each in used}
    return [(queue, ", ".join(found)) for queue, found in types.items() if typed.casefold() in queue.casefold()]
