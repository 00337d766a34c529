"""The batch list, the batch page, and the parts of it that are fetched on their own."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.accounts.permissions import may_operate
from dashboard.live.state import batch_state
from dashboard.models import Batch, SavedView
from dashboard.pages.batch_columns import requested_columns
from dashboard.pages.batches import BatchListPage, BatchRow, TreeQuery, batch_page, saved_query
from dashboard.queries.batch_filter import BatchFilter
from dashboard.queries.diagnosis import diagnosis_of, is_moving
from dashboard.queries.error_groups import error_groups
from dashboard.queries.operation_progress import newest_operations, unanswered_commands
from dashboard.queries.slowest_children import slowest_of
from dashboard.queries.timeline import timeline_of
from dashboard.server.paging import page_of
from dashboard.server.requests import HtmxHttpRequest, page_number, wants_fragment

BATCHES_PER_PAGE = 50


@require_safe
def batch_list(request: HtmxHttpRequest) -> HttpResponse:
    """Show batches, newest first, filtered by status, processor, person and text."""
    batches = Batch.objects.select_related("launched_by", "schedule").prefetch_related("tags")
    found = BatchFilter(request.GET, batches, request=request)
    page = page_of(found.qs, page_number(request), BATCHES_PER_PAGE)
    rows = [BatchRow(batch, batch_state(batch)) for batch in page]
    views = list(SavedView.objects.visible_to(request.user))
    newest = timezone.now().isoformat()
    query = saved_query(request.GET)
    context = BatchListPage(
        found, page, rows, newest, may_operate(request.user), views, query, requested_columns(request.GET)
    )
    is_part = wants_fragment(request)
    template = "batches/batch_list.html#batches" if is_part else "batches/batch_list.html"
    response = render(request, template, {"page": context})
    if is_part and page.number == 1:
        response["HX-Push-Url"] = f"{request.path}?{query}".rstrip("?")
    return response


@require_safe
def batch_detail(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show one batch: state, actions, tree."""
    batch = get_object_or_404(
        Batch.objects.select_related("launched_by", "schedule", "definition__definition").prefetch_related("tags"),
        id=batch_id,
    )
    return render(request, "batches/batch_detail.html", {"page": batch_page(request, batch, TreeQuery.of(request))})


@require_safe
def batch_story(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show activity, slowest children and operations; a request without htmx is redirected to the batch page."""
    batch = get_object_or_404(Batch, id=batch_id)
    if not request.htmx:
        return redirect("batch-detail", batch_id)
    context = {
        "batch": batch,
        "timeline": timeline_of(batch),
        "slowest": slowest_of(batch),
        "operations": newest_operations(batch),
        "unanswered": unanswered_commands(batch),
    }
    return render(request, "batches/batch_detail.html#story", context)


@require_safe
def batch_errors(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show the error groups of a batch; a request without htmx is redirected to the batch page."""
    batch = get_object_or_404(Batch, id=batch_id)
    if not request.htmx:
        return redirect("batch-detail", batch_id)
    context = {"batch": batch, "errors": error_groups(batch), "may_operate": may_operate(request.user)}
    return render(request, "batches/_errors.html", context)


@require_safe
def batch_diagnosis(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show why a batch makes no progress; while it does, only if `ask` is in the query string."""
    batch = get_object_or_404(Batch, id=batch_id)
    is_requested = "ask" in request.GET
    if not is_requested and (not batch.is_open or is_moving(batch)):
        return render(request, "batches/_diagnosis.html", {"batch": batch, "diagnosis": None})
    return render(request, "batches/_diagnosis.html", {"batch": batch, "diagnosis": diagnosis_of(batch)})
