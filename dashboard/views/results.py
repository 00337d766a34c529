"""The results of a batch: a table of its items, and their downloads."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseBadRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dashboard.database.snapshot import reads_one_snapshot
from dashboard.models import Batch, Item, NodeStatus
from dashboard.pages.batch_frame import batch_frame
from dashboard.pages.results import ResultsPage
from dashboard.queries.export_rows import ExportedItems, exported_columns
from dashboard.queries.exports import (
    DOWNLOADS,
    LAUNCH_AGAIN,
    rejected_for_spreadsheets,
    spreadsheet_lines,
)
from dashboard.queries.results import ResultsQuery
from dashboard.server.requests import HtmxHttpRequest, page_number, wants_fragment
from dashboard.server.streaming import stream
from dashboard.views.batches import shown_batch

FOR_LAUNCH, FOR_SPREADSHEET = "launch", "spreadsheet"
"""What a download is for, as the parameter `for`."""


@require_safe
@reads_one_snapshot
def batch_results(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show a page of the items with their results, and a chart of one column."""
    batch = shown_batch(batch_id)
    url = reverse("batch-results", args=[batch_id])
    page = ResultsPage(batch, ResultsQuery.of(request.GET), page_number(request), request.GET.get("chart", ""), url)
    if wants_fragment(request):
        return render(request, "batches/batch_results.html#results", {"page": page, "batch": batch})
    frame = batch_frame(request, batch, "batch-results")
    reports = list(batch.reports.all()) if batch.plan_data.get("summarise") else []
    context = {"frame": frame, "page": page, "batch": batch, "reports": reports}
    return render(request, "batches/batch_results.html", context)


@require_safe
def batch_export(request: HtmxHttpRequest, batch_id: str, form: str) -> HttpResponseBase:
    """Stream the items of a query, by default all, as CSV, JSON Lines or Parquet; 400 for a query that is invalid.

    With `?for=launch` the file has the items' input, to be launched again; with `?for=spreadsheet` CSV opens in Excel.
    """
    batch, query = get_object_or_404(Batch, id=batch_id), ResultsQuery.of(request.GET)
    if query.error:
        return HttpResponseBadRequest(query.error, content_type="text/plain; charset=utf-8")
    kind, write = DOWNLOADS[form]
    purpose = request.GET.get("for", "")
    name = f"{batch_id}-{query.status}" if query.status else batch_id
    items = ExportedItems(query.items(batch))
    if purpose == FOR_LAUNCH and form in LAUNCH_AGAIN:
        return _counted(stream(LAUNCH_AGAIN[form](items), kind, f"{name}-items.{form}"), items)
    if purpose == FOR_SPREADSHEET and form == "csv":
        write = spreadsheet_lines
    return _counted(stream(write(items, exported_columns(batch)), kind, f"{name}.{form}"), items)


@require_safe
def batch_rejected(request: HtmxHttpRequest, batch_id: str, form: str) -> HttpResponseBase:
    """Stream the failed items, each with its error, to be fixed and launched again; or as CSV for a spreadsheet."""
    batch = get_object_or_404(Batch, id=batch_id)
    items = ExportedItems(Item.objects.filter(batch=batch, status=NodeStatus.FAILED).order_by("index"))
    is_shown = request.GET.get("for") == FOR_SPREADSHEET and form == "csv"
    lines = rejected_for_spreadsheets(items) if is_shown else LAUNCH_AGAIN[form](items)
    return _counted(stream(lines, DOWNLOADS[form][0], f"{batch_id}-rejected.{form}"), items)


def _counted(response: HttpResponseBase, items: ExportedItems) -> HttpResponseBase:
    """Say how many items follow, so that a script can compare."""
    response["Canopy-Items"] = str(len(items))
    return response
