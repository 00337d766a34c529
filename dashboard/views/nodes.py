"""The tree's rows, and the pane of one child."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def batch_nodes(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Show a page of the tree."""
    return render(request, "batch_detail.html", {})


@require_safe
def node_detail(request: HttpRequest, batch_id: str, node_id: int) -> HttpResponse:
    """Show one node."""
    return render(request, "batch_detail.html", {})


@require_safe
def node_items(request: HttpRequest, batch_id: str, node_id: int) -> HttpResponse:
    """Show a page of a node's items."""
    return render(request, "batch_detail.html", {})
