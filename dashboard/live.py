"""Live: what a browser is sent when a batch changed, and the doorbell that says so. The only group_send.

A message is only a doorbell: what is sent is read from the database by revision, so a lost one costs a second at most.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from channels.layers import get_channel_layer
from django.db.models import Q
from django.utils import timezone

from dashboard.models import OPEN_BATCH_STATUSES, PARENT_KINDS, Batch, BatchStatus, Node
from dashboard.tallies import closed_children, open_children
from orchestration.contracts import NodeKind
from orchestration.pace import pace as pace_of
from orchestration.pace import spread

log = logging.getLogger(__name__)

LIST_GROUP = "batches"
NODES_PER_MESSAGE = 500
NODES_PER_DELTA = 2_000
"""Above this a browser is told to load its rows anew rather than be sent every change."""

BATCHES_WATCHED = 1_000
BATCHES_PER_MESSAGE = 100

UNSHOWN = ("parameters", "plan_data", "source")
"""Columns of a batch that are large and that no browser is sent."""

RECENT = timedelta(seconds=30)


def group_of(batch_id: str) -> str:
    """Return the channel group of a batch's viewers."""
    return f"batch-{batch_id}"


async def ring(batch_id: str) -> None:
    """Tell the viewers of a batch, and those of the list, that something changed. Call from the ASGI loop.

    Never fails: without a bell they look once a second.
    """
    layer = get_channel_layer()
    if layer is None:
        return
    try:
        bell = {"type": "batch.changed", "bell": secrets.token_hex(4)}
        await layer.group_send(group_of(batch_id), bell)
        await layer.group_send(LIST_GROUP, bell)
    except Exception as error:
        log.warning("No bell for batch %s: %s", batch_id, error)


def batch_state(batch: Batch) -> dict[str, Any]:
    """Return what pages, deltas and the API say of a batch. Times are ISO 8601, rate items/s, eta seconds.

    `eta_range` is between which seconds it lies, by how the last minute went.
    """
    now = timezone.now()
    rate, eta = pace(batch, now)
    return {
        "id": batch.pk,
        "status": batch.status,
        "revision": batch.revision,
        "paused": batch.paused,
        "window": batch.window,
        "children": batch.children | {"total": batch.child_count},
        "partitions": batch.partition_count,
        "watched": batch.watched_id,
        "reading": reading_of(batch),
        "items": batch.items_by_status | {"total": batch.item_count},
        "rate": rate,
        "eta": eta,
        "eta_range": eta_range(batch, eta, now) if eta is not None else None,
        "opened_at": _iso(batch.opened_at),
        "closed_at": _iso(batch.closed_at),
        "moments": batch.moment_count,
        "changed_at": _iso(batch.changed_at),
        "start_error": batch.start_error,
        "held": (
            {"kind": batch.held_kind, "reason": batch.held_reason, "until": _iso(batch.held_until)}
            if batch.held_kind
            else None
        ),
    }


def reading_of(batch: Batch) -> dict[str, Any] | None:
    """Return how far an input is that is read while the batch runs, and the first row that was left out, if any."""
    reading = batch.reading
    line, reason = next(iter(reading.get("bad", [])), (None, ""))
    if reading.get("is_last", True) and line is None:
        return None
    return {
        "is_last": reading.get("is_last", True),
        "is_open": batch.is_open,
        "items": batch.item_count,
        "left_out": reading.get("left_out", 0),
        "line": line,
        "reason": reason,
    }


def pace(batch: Batch, now: datetime) -> tuple[float | None, float | None]:
    """Return items per second and the seconds left, as far as they are known.

    Both are of the root's newest run. In a first run items are counted; a retry knows only how many children are done,
    and so does a batch that is only watched: its rate is in children, and nobody knows how many are to come.
    """
    if batch.opened_at is None:
        return None, None
    elapsed = ((batch.closed_at or now) - batch.opened_at).total_seconds()
    each = batch.item_count / max(batch.child_count, 1) or 1
    if batch.done_at_open or batch.watched_id:
        done = (closed_children(batch) - batch.done_at_open) * each
        left = open_children(batch) * each
    else:
        done = batch.items_completed + batch.items_failed
        left = batch.items_pending + batch.items_running
    rate, eta = pace_of(done, left, elapsed, is_running=batch.status == BatchStatus.RUNNING)
    return rate, None if batch.watched_id else eta


def eta_range(batch: Batch, eta: float, now: datetime) -> tuple[float, float] | None:
    """Return between which seconds the rest will take, as far as that is known; the ETA lies in it."""
    left = batch.items_pending + batch.items_running
    found = spread(batch.samples, int(now.timestamp()), left)
    return (min(eta, found[0]), max(eta, found[1])) if found else None


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
        "note": node.note,
        "items": {"completed": node.items_completed, "failed": node.items_failed},
    }
    if node.kind in PARENT_KINDS:
        state["children"] = node.children
    elif node.kind == NodeKind.ROOT:
        state["children"] = node.batch.children
    return state


def deltas(batch_id: str, since: int) -> Iterator[dict[str, Any]]:
    """Yield the messages that bring a browser from revision `since` to the newest; none when it is there already.

    Only the last one carries `more: false`, and with it the revision to remember. `reload` asks the browser to fetch
    its rows anew: when too many changed, or when it claims a revision that has never been.
    """
    batch = Batch.objects.exclude(revision=since).defer(*UNSHOWN).filter(pk=batch_id).first()
    if batch is None:
        return
    nodes = _changed_nodes(batch, since) if since < batch.revision else None
    pages = [[]] if nodes is None else _pages(nodes)
    state = batch_state(batch)
    for number, page in enumerate(pages, start=1):
        yield {
            "type": "delta",
            "since": since,
            "revision": batch.revision,
            "more": number < len(pages),
            "reload": nodes is None,
            "now": _iso(timezone.now()),
            "batch": state,
            "nodes": [node_state(node) for node in page],
        }


def _changed_nodes(batch: Batch, since: int) -> list[Node] | None:
    """Return what changed after a revision, up to the batch's as it was read, or None when that is too much."""
    changed = Node.objects.filter(batch=batch, revision__gt=since, revision__lte=batch.revision)
    nodes = list(changed.order_by("revision")[: NODES_PER_DELTA + 1])
    for node in nodes:
        node.batch = batch
    return nodes if len(nodes) <= NODES_PER_DELTA else None


def list_delta(sent: dict[str, int]) -> dict[str, Any] | None:
    """Return what changed in the list of batches, or None. `sent` is what the browser has: {batch id: revision}."""
    is_fresh = Q(status__in=OPEN_BATCH_STATUSES) | Q(closed_at__gte=timezone.now() - RECENT)
    revisions = dict(Batch.objects.filter(is_fresh).values_list("pk", "revision")[:BATCHES_WATCHED])
    changed = [pk for pk, revision in revisions.items() if revision != sent.get(pk)][:BATCHES_PER_MESSAGE]
    if not changed:
        return None
    batches = list(Batch.objects.filter(pk__in=changed).defer(*UNSHOWN).select_related("launched_by"))
    sent.update({batch.pk: batch.revision for batch in batches})
    return {
        "type": "batches",
        "now": _iso(timezone.now()),
        "batches": [
            batch_state(batch)
            | {
                "label": batch.label,
                "processor": batch.processor,
                "launched_by": batch.launched_by.get_username(),
                "schedule": batch.schedule_id,
                "created_at": _iso(batch.created_at),
            }
            for batch in batches
        ],
    }


def tick() -> dict[str, Any]:
    """Return the message that only says that the line is alive."""
    return {"type": "tick", "now": _iso(timezone.now())}


def _pages(nodes: Sequence[Node]) -> list[Sequence[Node]]:
    """Cut nodes into messages; a batch that changed without its nodes is one message, too."""
    return [nodes[first : first + NODES_PER_MESSAGE] for first in range(0, len(nodes), NODES_PER_MESSAGE)] or [[]]


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time is not None else None
