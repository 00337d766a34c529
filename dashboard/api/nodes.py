"""Nodes and items of a batch, in pages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar

from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from ninja import Query, Router, Schema

from dashboard.api.batches import find_batch
from dashboard.api.responses import PROBLEMS
from dashboard.errors import FieldErrors
from dashboard.models import Item, Node, NodeStatus
from dashboard.queries.step_results import result_text
from dashboard.server.requests import whole_number
from orchestration.contracts.events import NodeKind
from orchestration.errors.kinds import error_kind

router = Router(tags=["Batches"])

PAGE_MAX = 1_000

M = TypeVar("M", bound=Model)
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


class ErrorOut(Schema):
    """Why an attempt did not complete. Kinds: application, validation (not retried), timeout, canceled, terminated,
    items (of the child), skipped, setup (the worker cannot do it).
    """

    kind: str
    type: str
    message: str


class NodeOut(Schema):
    """One workflow execution in the tree of a batch. `status`: that of the workflow alone; `shown_status`: with what
    is below it, as the page shows it: a batch's status, too.
    """

    id: int
    workflow_id: str
    run_id: str
    parent: int | None
    kind: str
    position: int
    label: str
    note: str
    status: str
    shown_status: str
    attempt: int
    started_at: datetime | None
    closed_at: datetime | None
    error: ErrorOut | None


class NodePage(Schema):
    """Nodes, and the cursor of the next page or null."""

    results: list[NodeOut]
    next: str | None


class ItemOut(Schema):
    """One item with its outcome."""

    index: int
    key: str
    child: int
    data: dict[str, Any]
    status: str
    attempts: int
    result: Any
    error: ErrorOut | None
    duration: float | None
    finished_at: datetime | None
    undone_at: datetime | None
    dropped: str
    undo_error: str


class ItemPage(Schema):
    """Items, and the cursor of the next page or null."""

    results: list[ItemOut]
    next: str | None


@router.get("/batches/{batch_id}/nodes", response={200: NodePage, **PROBLEMS})
def list_nodes(
    request: HttpRequest,
    batch_id: str,
    kind: NodeKind | None = None,
    status: NodeStatus | None = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """List the nodes of a batch in order of creation, a page at a time."""
    nodes = Node.objects.filter(batch=find_batch(batch_id)).select_related("batch")
    if kind:
        nodes = nodes.filter(kind=kind)
    if status:
        nodes = nodes.filter(status=status)
    page, next_cursor = _page(nodes, "pk", limit, cursor)
    return {"results": [_node(node) for node in page], "next": next_cursor}


@router.get("/batches/{batch_id}/nodes/{node_id}/result", response={200: Any, **PROBLEMS})
def read_result(request: HttpRequest, batch_id: str, node_id: int) -> HttpResponse:
    """Return what a step returned as JSON, where it was too large for Temporal's history; otherwise 404."""
    node = Node.objects.filter(batch=find_batch(batch_id), pk=node_id).first()
    text = result_text(node) if node is not None else None
    if text is None:
        raise Http404(f"Batch {batch_id} has no result of node {node_id} in the database.")
    return HttpResponse(text.encode(errors="replace"), content_type="application/json")


@router.get("/batches/{batch_id}/items", response={200: ItemPage, **PROBLEMS})
def list_items(
    request: HttpRequest,
    batch_id: str,
    status: NodeStatus | None = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """List the items of a batch in input order, a page at a time."""
    items = Item.objects.filter(batch=find_batch(batch_id)).with_shown_status()
    if status:
        items = items.filter(Q(shown_status=status))
    page, next_cursor = _page(items, "index", limit, cursor)
    return {"results": [_item(item) for item in page], "next": next_cursor}


def _page(rows: QuerySet[M], order: str, limit: int, cursor: str | None) -> tuple[list[M], str | None]:
    """Return a page of rows after the cursor (the `order` value of the last row before), and the next cursor."""
    if cursor is not None:
        last = whole_number(cursor, None)
        if last is None:
            raise FieldErrors({"cursor": ["Invalid cursor."]})
        rows = rows.filter(**{f"{order}__gt": last})
    found = list(rows.order_by(order)[: limit + 1])
    next_cursor = str(getattr(found[limit - 1], order)) if len(found) > limit else None
    return found[:limit], next_cursor


def _error(row: Node | Item) -> dict[str, str] | None:
    if not row.error_type:
        return None
    return {"kind": error_kind(row.error_type), "type": row.error_type, "message": row.error_message}


def _node(node: Node) -> dict[str, Any]:
    return {
        "id": node.pk,
        "workflow_id": node.workflow_id,
        "run_id": node.run_id,
        "parent": node.parent_id,
        "kind": node.kind,
        "position": node.position,
        "label": node.label,
        "note": node.note,
        "status": node.status,
        "shown_status": node.shown_status,
        "attempt": node.attempt,
        "started_at": node.started_at,
        "closed_at": node.closed_at,
        "error": _error(node),
    }


def _item(item: Any) -> dict[str, Any]:
    return {
        "index": item.index,
        "key": item.key,
        "child": item.child,
        "data": item.data,
        "status": item.shown_status,
        "attempts": item.attempts,
        "result": item.result,
        "error": _error(item) if item.shown_status == NodeStatus.FAILED else None,
        "duration": item.duration,
        "finished_at": item.finished_at,
        "undone_at": item.undone_at,
        "dropped": item.dropped,
        "undo_error": item.undo_error,
    }
