"""Live: what a browser is sent when a batch changed, and the doorbell that says so. The only group_send.

A message is only a doorbell: what is sent is read from the database by revision, so a lost one costs a second at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from channels.layers import get_channel_layer
from django.utils import timezone

from dashboard.models import OPEN_BATCH_STATUSES, Batch, Node
from dashboard.tallies import closed_children, open_children
from orchestration.contracts import NodeKind

LIST_GROUP = "batches"
NODES_PER_MESSAGE = 500
NODES_PER_DELTA = 5_000
"""Above this a browser is told to load its rows anew rather than be sent every change."""

ETA_AFTER = timedelta(seconds=15)
RECENT = timedelta(seconds=30)


def group_of(batch_id: str) -> str:
    """Return the channel group of a batch's viewers."""
    return f"batch-{batch_id}"


async def ring(batch_id: str) -> None:
    """Tell the viewers of a batch, and those of the list, that something changed. Call from the ASGI loop."""
    layer = get_channel_layer()
    if layer is not None:
        await layer.group_send(group_of(batch_id), {"type": "batch.changed"})
        await layer.group_send(LIST_GROUP, {"type": "batch.changed"})


def batch_state(batch: Batch) -> dict[str, Any]:
    """Return what pages, deltas and the API say of a batch. Times are ISO 8601, rate items/s, eta seconds."""
    rate, eta = pace(batch, timezone.now())
    return {
        "id": batch.pk,
        "status": batch.status,
        "revision": batch.revision,
        "paused": batch.paused,
        "window": batch.window,
        "children": batch.children | {"total": batch.child_count},
        "items": batch.items_by_status | {"total": batch.item_count},
        "rate": rate,
        "eta": eta,
        "opened_at": _iso(batch.opened_at),
        "closed_at": _iso(batch.closed_at),
        "start_error": batch.start_error,
    }


def pace(batch: Batch, now: datetime) -> tuple[float | None, float | None]:
    """Return items per second and the seconds left: remaining x elapsed / done, from ETA_AFTER on."""
    if batch.opened_at is None:
        return None, None
    elapsed = ((batch.closed_at or now) - batch.opened_at).total_seconds()
    done = closed_children(batch) - batch.done_at_open
    if elapsed <= 0 or done <= 0:
        return None, None
    share = done / max(batch.child_count, 1)
    rate = batch.item_count * share / elapsed
    if not batch.is_open or elapsed < ETA_AFTER.total_seconds():
        return rate, None
    return rate, open_children(batch) * elapsed / done


def node_state(node: Node) -> dict[str, Any]:
    """Return what a delta says of a node."""
    state = {
        "id": node.pk,
        "kind": node.kind,
        "parent": node.parent_id,
        "position": node.position,
        "status": node.status,
        "attempt": node.attempt,
        "started_at": _iso(node.started_at),
        "closed_at": _iso(node.closed_at),
        "error": {"type": node.error_type, "message": node.error_message} if node.error_type else None,
        "length": node.length,
        "items": {"completed": node.items_completed, "failed": node.items_failed},
    }
    if node.kind == NodeKind.PARTITION:
        state["children"] = node.children
    return state


def deltas(batch_id: str, since: int) -> Iterator[dict[str, Any]]:
    """Yield the messages that bring a browser from revision `since` to the newest; none when it is there already.

    Only the last one carries `more: false`, and with it the revision to remember. `reload` asks the browser to fetch
    its rows anew, when too many changed.
    """
    batch = Batch.objects.filter(pk=batch_id, revision__gt=since).first()
    if batch is None:
        return
    changed = Node.objects.filter(batch=batch, revision__gt=since, revision__lte=batch.revision)
    nodes = list(changed.order_by("revision")[: NODES_PER_DELTA + 1])
    is_too_many = len(nodes) > NODES_PER_DELTA
    pages = [[]] if is_too_many else _pages(nodes)
    state = batch_state(batch)
    for number, page in enumerate(pages, start=1):
        yield {
            "type": "delta",
            "since": since,
            "revision": batch.revision,
            "more": number < len(pages),
            "reload": is_too_many,
            "now": _iso(timezone.now()),
            "batch": state,
            "nodes": [node_state(node) for node in page],
        }


def list_delta(sent: dict[str, int]) -> dict[str, Any] | None:
    """Return what changed in the list of batches, or None. `sent` is what the browser has: {batch id: revision}."""
    open_or_recent = Batch.objects.filter(status__in=OPEN_BATCH_STATUSES) | Batch.objects.filter(
        closed_at__gte=timezone.now() - RECENT
    )
    changed = [
        batch
        for batch in open_or_recent.select_related("launched_by")[:1_000]
        if batch.revision > sent.get(batch.pk, 0)
    ]
    if not changed:
        return None
    sent.update({batch.pk: batch.revision for batch in changed})
    return {
        "type": "batches",
        "now": _iso(timezone.now()),
        "batches": [
            batch_state(batch)
            | {
                "label": batch.label,
                "processor": batch.processor,
                "launched_by": batch.launched_by.get_username(),
                "created_at": _iso(batch.created_at),
            }
            for batch in changed
        ],
    }


def tick() -> dict[str, Any]:
    """Return the message that only says that the line is alive."""
    return {"type": "tick", "now": _iso(timezone.now())}


def _pages(nodes: Sequence[Node]) -> list[Sequence[Node]]:
    return [nodes[first : first + NODES_PER_MESSAGE] for first in range(0, len(nodes), NODES_PER_MESSAGE)] or [[]]


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time is not None else None


