"""The rows of a tree, and the pane of one node."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dashboard.accounts.permissions import may_operate
from dashboard.database.snapshot import reads_one_snapshot
from dashboard.models import PARENT_KINDS, Batch, Item, Node
from dashboard.pages.batch_frame import batch_frame
from dashboard.pages.batches import TreeQuery, batch_page
from dashboard.queries.histories import is_forgotten
from dashboard.queries.node_pane import failure_beside, items_of, pane_of
from dashboard.queries.step_results import result_text
from dashboard.queries.tree import branch_of, run_of
from dashboard.server.requests import HtmxHttpRequest, page_number, whole_number
from orchestration.contracts.events import NodeKind


@require_safe
@reads_one_snapshot
def batch_nodes(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Show a page of the tree, a partition or a run; a request without htmx is redirected to the batch page."""
    query = TreeQuery.of(request)
    if not request.htmx:
        return redirect(f"{reverse('batch-detail', args=[batch_id])}?{request.GET.urlencode()}")
    batch = get_object_or_404(Batch, id=batch_id)
    context = {"batch": batch, "may_operate": may_operate(request.user)}
    if query.whole or (query.opened is None and query.run is None):
        return render(request, "batches/_tree.html", context | {"tree": query.tree(batch)})
    which = {"kind": NodeKind.ROOT} if query.opened is None else {"kind__in": PARENT_KINDS, "pk": query.opened}
    parent = get_object_or_404(Node.objects.select_related("batch"), batch=batch, **which)
    branch = run_of(parent, query.run, query.page) if query.run else branch_of(parent, query.page)
    return render(request, "batches/_tree.html#branch", context | {"branch": branch})


@require_safe
@reads_one_snapshot
def node_detail(request: HtmxHttpRequest, batch_id: str, node_id: int) -> HttpResponse:
    """Show one node in the pane; without htmx the batch page with the pane open."""
    node = _node(batch_id, node_id)
    pane = pane_of(node, page_number(request, "items"))
    if request.htmx:
        context = {
            "pane": pane,
            "batch": node.batch,
            "may_operate": may_operate(request.user),
        }
        return render(request, "batches/node_detail.html", context)
    context = {
        "frame": batch_frame(request, node.batch, "batch-detail"),
        "page": batch_page(node.batch, TreeQuery.of(request), pane),
    }
    return render(request, "batches/batch_detail.html", context)


@require_safe
def next_failure(request: HtmxHttpRequest, batch_id: str) -> HttpResponse:
    """Redirect to the failed child after the position `after` or before the position `before`, by default the first."""
    batch = get_object_or_404(Batch, id=batch_id)
    before = whole_number(request.GET.get("before", ""), None)
    after = whole_number(request.GET.get("after", ""), None)
    node = (
        failure_beside(batch, -1 if after is None else after)
        if before is None
        else failure_beside(batch, before, is_before=True)
    )
    if node is None:
        return HttpResponse(status=204) if request.htmx else redirect("batch-detail", batch_id)
    return redirect("node-detail", batch_id, node.pk)


@require_safe
@reads_one_snapshot
def node_items(request: HtmxHttpRequest, batch_id: str, node_id: int) -> HttpResponse:
    """Show a page of a child's items in the pane; a request without htmx is redirected to the node."""
    page = page_number(request)
    if not request.htmx:
        return redirect(f"{reverse('node-detail', args=[batch_id, node_id])}?items={page}")
    node = _node(batch_id, node_id)
    return render(request, "batches/node_detail.html#items", {"items": items_of(node, page), "batch": node.batch})


@require_safe
def step_result(request: HtmxHttpRequest, batch_id: str, node_id: int) -> HttpResponse:
    """Download what a step returned, where it was too large for Temporal's history."""
    text = result_text(_node(batch_id, node_id))
    if text is None:
        raise Http404("There is no result of this step in the database.")
    answer = HttpResponse(text.encode(errors="replace"), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="{batch_id}-{node_id}.json"'
    return answer


@require_safe
@reads_one_snapshot
def item_detail(request: HtmxHttpRequest, batch_id: str, index: int) -> HttpResponse:
    """Show one item: input, result or error with its stack trace, earlier failures."""
    item = get_object_or_404(Item.objects.select_related("batch"), batch_id=batch_id, index=index)
    node = get_object_or_404(Node, batch_id=batch_id, kind=NodeKind.CHILD, position=item.child)
    template = "batches/item_detail.html#item" if request.htmx else "batches/item_detail.html"
    return render(request, template, {"item": item, "node": node, "batch": item.batch})


@require_safe
def node_history(request: HtmxHttpRequest, batch_id: str, node_id: int) -> HttpResponse:
    """Say whether Temporal has forgotten the newest run of a node; nothing while it has it, or cannot be asked."""
    node = _node(batch_id, node_id)
    is_gone = is_forgotten(node)
    if not request.htmx:
        return redirect("node-detail", batch_id, node_id)
    return render(request, "batches/node_detail.html#history", {"is_gone": is_gone, "batch": node.batch})


def _node(batch_id: str, node_id: int) -> Node:
    """Return a node of this batch. Raises Http404."""
    return get_object_or_404(
        Node.objects.select_related("batch__launched_by", "parent__parent"), batch_id=batch_id, pk=node_id
    )
