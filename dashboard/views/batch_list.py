"""The batch list."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.accounts.permissions import may_operate
from dashboard.database.snapshot import reads_one_snapshot
from dashboard.live.state import batch_state
from dashboard.models import Batch, SavedView
from dashboard.pages.batch_columns import requested_columns
from dashboard.pages.batch_list import BatchListPage, BatchRow, tabs_of
from dashboard.queries.batch_filter import BatchFilter, status_counts
from dashboard.server.paging import page_of
from dashboard.server.requests import HtmxHttpRequest, page_number, wants_fragment

BATCHES_PER_PAGE = 50


@require_safe
@reads_one_snapshot
def batch_list(request: HtmxHttpRequest) -> HttpResponse:
    """Show batches, newest first, or filtered and sorted as the query string says."""
    found = BatchFilter(request.GET, _batches(), request=request)
    page = page_of(found.qs, page_number(request), BATCHES_PER_PAGE)
    context = BatchListPage(
        filter=found,
        page=page,
        rows=[BatchRow(batch, batch_state(batch)) for batch in page],
        newest=timezone.now().isoformat(),
        may_operate=may_operate(request.user),
        views=list(SavedView.objects.visible_to(request.user)),
        given=request.GET,
        columns=requested_columns(request.GET),
        counts=status_counts(request.GET, request),
    )
    is_part = wants_fragment(request)
    template = "batches/batch_list.html#batches" if is_part else "batches/batch_list.html"
    response = render(request, template, {"page": context, "is_part": is_part})
    if is_part and page.number == 1:
        response["HX-Push-Url"] = f"{request.path}?{context.query}".rstrip("?")
    return response


@require_safe
def batch_tabs(request: HtmxHttpRequest) -> HttpResponse:
    """Show the numbers of batches by status alone, which change while the list is looked at."""
    tabs = tabs_of(request.GET, status_counts(request.GET, request))
    return render(request, "batches/batch_list.html#tabs", {"tabs": tabs})


def _batches() -> QuerySet[Batch]:
    return Batch.objects.select_related("launched_by", "schedule").prefetch_related("tags")
