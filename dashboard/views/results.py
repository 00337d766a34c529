"""The results of a batch: a table of its items, and their downloads."""

from __future__ import annotations

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dashboard.models import Batch
from dashboard.pages.results import ResultsPage
from dashboard.queries.exports import (
    DOWNLOADS,
    LAUNCH_AGAIN,
    rejected_for_spreadsheets,
    rejected_items,
    spreadsheet_lines,
)
from dashboard.queries.results import ResultsQuery, column_names
from dashboard.server.requests import HtmxHttpRequest, page_number
from dashboard.server.streaming import stream

FOR_LAUNCH, FOR_SPREADSHEET = "launch", "spreadsheet"
"""What a download is for, as the parameter `for`."""


@require_safe
def batch_results(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show a page of the items with their results, and a chart of one column."""
    batch = get_object_or_404(Batch, id=batch_id)
    url = reverse("batch-results", args=[batch_id])
    page = ResultsPage(batch, ResultsQuery.of(request.GET), page_number(request), request.GET.get("chart", ""), url)
    template = "batches/batch_results.html#results" if request.htmx else "batches/batch_results.html"
    return render(request, template, {"page": page, "batch": batch})


@require_safe
def batch_export(request: HtmxHttpRequest, batch_id: str, form: str) -> StreamingHttpResponse:
    """Stream the items of a query, by default all, as CSV, JSON Lines or Parquet.

    With `?for=launch` the file has the items' input, to be launched again; with `?for=spreadsheet` CSV opens in Excel.
    """
    batch, query = get_object_or_404(Batch, id=batch_id), ResultsQuery.of(request.GET)
    kind, write = DOWNLOADS[form]
    purpose = request.GET.get("for", "")
    name = f"{batch_id}-{query.status}" if query.status else batch_id
    if purpose == FOR_LAUNCH and form in LAUNCH_AGAIN:
        return stream(LAUNCH_AGAIN[form](query.items(batch)), kind, f"{name}-items.{form}")
    if purpose == FOR_SPREADSHEET and form == "csv":
        write = spreadsheet_lines
    return stream(write(query.items(batch), column_names(batch)), kind, f"{name}.{form}")


@require_safe
def batch_rejected(request: HtmxHttpRequest, batch_id: str, form: str) -> StreamingHttpResponse:
    """Stream the failed items, each with its error, to be fixed and launched again; or as CSV for a spreadsheet."""
    batch = get_object_or_404(Batch, id=batch_id)
    is_shown = request.GET.get("for") == FOR_SPREADSHEET and form == "csv"
    lines = rejected_for_spreadsheets(batch) if is_shown else LAUNCH_AGAIN[form](rejected_items(batch))
    return stream(lines, DOWNLOADS[form][0], f"{batch_id}-rejected.{form}")
