"""The batch list and the batch page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from dashboard.models import Batch


@require_safe
def batch_list(request: HttpRequest) -> HttpResponse:
    """Show batches, newest first."""
    return render(request, "batch_list.html", {})


@require_safe
def batch_detail(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Show one batch."""
    return render(request, "batch_detail.html", {"batch": get_object_or_404(Batch, id=batch_id)})


@require_safe
def batch_audit(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Show who did what to a batch."""
    return render(request, "batch_detail.html#audit", {"batch": get_object_or_404(Batch, id=batch_id)})
