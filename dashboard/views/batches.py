"""The tabs of a batch but its results, and why a batch makes no progress."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_safe

from dashboard.accounts.permissions import may_operate
from dashboard.database.snapshot import reads_one_snapshot
from dashboard.models import Batch
from dashboard.models.tallies import failures
from dashboard.pages.batch_frame import batch_frame
from dashboard.pages.batches import TreeQuery, batch_page, settings_page
from dashboard.queries.batch_summary import summary_of
from dashboard.queries.diagnosis import diagnosis_of, is_moving
from dashboard.queries.error_details import error_table
from dashboard.queries.operation_progress import newest_operations, unanswered_commands
from dashboard.queries.slowest_children import slowest_of
from dashboard.queries.timeline import timeline_of
from dashboard.server.requests import HtmxHttpRequest, wants_fragment
from dashboard.views.batch_map import REVISION_HEADER


@require_safe
@reads_one_snapshot
def batch_detail(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show the tree of a batch."""
    batch = shown_batch(batch_id)
    context = {
        "frame": batch_frame(request, batch, "batch-detail"),
        "page": batch_page(batch, TreeQuery.of(request)),
    }
    return render(request, "batches/batch_detail.html", context)


@require_safe
@reads_one_snapshot
def batch_summary(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show in a line how a batch fares; a request without htmx is redirected to the batch page."""
    batch = get_object_or_404(Batch, id=batch_id)
    if not request.htmx:
        return redirect("batch-detail", batch_id)
    context = {"batch": batch, "summary": summary_of(batch), "may_operate": may_operate(request.user)}
    return _of_revision(batch, render(request, "batches/_summary.html", context))


@require_safe
@reads_one_snapshot
def batch_errors(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show what failed, grouped by cause."""
    batch = shown_batch(batch_id)
    context = {"errors": error_table(batch), "listed": failures(batch), "may_operate": may_operate(request.user)}
    return _tab(request, batch, "errors", context)


@require_safe
@reads_one_snapshot
def batch_timeline(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show when the children of a batch ran, and which took longest."""
    batch = shown_batch(batch_id)
    return _tab(request, batch, "timeline", {"slowest": slowest_of(batch)})


@require_safe
@reads_one_snapshot
def batch_activity(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show operations on a batch and its event log."""
    batch = shown_batch(batch_id)
    context = {
        "timeline": timeline_of(batch),
        "operations": newest_operations(batch),
        "unanswered": unanswered_commands(batch),
    }
    return _tab(request, batch, "activity", context)


@require_safe
def batch_story(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Redirect to the activity, whose former address this is."""
    return redirect("batch-activity", batch_id)


@require_safe
@reads_one_snapshot
def batch_settings(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show parameters and plan of a batch, and edit its tags and note."""
    batch = shown_batch(batch_id)
    return _tab(request, batch, "settings", {"page": settings_page(batch), "may_operate": may_operate(request.user)})


def shown_batch(batch_id: str) -> Batch:
    """Return a batch with what its header names. Raises Http404."""
    related = Batch.objects.select_related("launched_by", "schedule", "definition__definition").defer(
        "definition__text"
    )
    return get_object_or_404(related.prefetch_related("tags"), id=batch_id)


def _of_revision(batch: Batch, response: HttpResponse) -> HttpResponse:
    """Say at which revision a part of a page was read, for a page that may have another one."""
    response[REVISION_HEADER] = str(batch.revision)
    return response


def _tab(request: HtmxHttpRequest, batch: Batch, tab: str, context: dict[str, Any]) -> HttpResponse:
    """Respond with a tab's page, or with its content alone where htmx swaps that in."""
    if wants_fragment(request):
        return _of_revision(batch, render(request, f"batches/batch_{tab}.html#{tab}", {"batch": batch, **context}))
    frame = batch_frame(request, batch, f"batch-{tab}")
    return render(request, f"batches/batch_{tab}.html", {"frame": frame, "batch": batch, **context})


@require_safe
def batch_diagnosis(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show why a batch makes no progress; while it does, only if `ask` is in the query string."""
    batch = get_object_or_404(Batch, id=batch_id)
    is_requested = "ask" in request.GET
    if not is_requested and (not batch.is_open or is_moving(batch)):
        return render(request, "batches/_diagnosis.html", {"batch": batch, "diagnosis": None})
    return render(request, "batches/_diagnosis.html", {"batch": batch, "diagnosis": diagnosis_of(batch)})
