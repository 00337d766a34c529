"""The map of a batch: its cells as bytes, ids and keys of single cells, and the map as a table."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from dashboard.database.snapshot import reads_one_snapshot
from dashboard.models import Batch
from dashboard.queries.batch_map import map_of, ranges_of, starts_of
from dashboard.queries.selection import Selection
from dashboard.server.requests import HtmxHttpRequest

CELLS_AT_ONCE = 500
REVISION_HEADER = "X-Canopy-Revision"


@require_safe
@gzip_page
@reads_one_snapshot
def batch_map(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Return status and duration of every child in the format of `queries.batch_map`, and their revision."""
    found = map_of(get_object_or_404(Batch, id=batch_id))
    response = HttpResponse(found.content(), content_type="application/octet-stream")
    response[REVISION_HEADER] = str(found.revision)
    response["Cache-Control"] = "no-store"
    return response


@require_safe
@gzip_page
def batch_map_starts(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Return the start of every child, for the timeline."""
    content = starts_of(get_object_or_404(Batch, id=batch_id))
    return HttpResponse(content, content_type="application/octet-stream", headers={"Cache-Control": "no-store"})


@require_safe
def batch_map_cells(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Return URLs and keys of the children in a `span`, CELLS_AT_ONCE at most."""
    batch = get_object_or_404(Batch, id=batch_id)
    selection = Selection.of(request.GET.dict())
    found = selection.children(batch).order_by("position").values_list("position", "pk", "key_first")[:CELLS_AT_ONCE]
    cells = [
        {"position": position, "key": key, "url": reverse("node-detail", args=[batch.pk, node])}
        for position, node, key in found
    ]
    return JsonResponse({"cells": cells})


@require_safe
@reads_one_snapshot
def batch_map_table(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show the map as a table of ranges; a request without htmx is redirected to the batch page."""
    batch = get_object_or_404(Batch, id=batch_id)
    if not request.htmx:
        return redirect("batch-detail", batch_id)
    return render(request, "batches/_map_table.html", {"batch": batch, "ranges": ranges_of(batch)})
