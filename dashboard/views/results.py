"""The results of a batch: a table of its items, and their downloads."""

from __future__ import annotations

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dashboard.models import Batch
from dashboard.pages.results import ResultsPage
from dashboard.queries.exports import DOWNLOADS, rejected_lines
from dashboard.queries.results import ResultsQuery, column_names
from dashboard.server.requests import HtmxHttpRequest, page_number
from dashboard.server.streaming import stream


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
    """Stream the items of a query, by default all, as CSV, JSON Lines or Parquet."""
    batch, query = get_object_or_404(Batch, id=batch_id), ResultsQuery.of(request.GET)
    kind, write = DOWNLOADS[form]
    name = f"{batch_id}-{query.status}" if query.status else batch_id
    return stream(write(query.items(batch), column_names(batch)), kind, f"{name}.{form}")


@require_safe
def batch_rejected(request: HtmxHttpRequest, batch_id: str) -> StreamingHttpResponse:
    """Stream the failed items as CSV: their input, each with its error."""
    batch = get_object_or_404(Batch, id=batch_id)
    return stream(rejected_lines(batch), "text/csv; charset=utf-8", f"{batch_id}-rejected.csv")
