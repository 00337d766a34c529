"""The state of a batch or node, as browsers and the API get it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count, F, Sum
from django.utils import timezone

from dashboard.live.progress import progress_of
from dashboard.models import FAILURES, Batch, BatchStatus, Node, NodeStatus
from dashboard.models.tallies import closed_children, open_children
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import RESULTS_LOST, RUN_LOST
from orchestration.throughput import eta_bounds
from orchestration.throughput import rate_and_eta as pace_of

LARGE_COLUMNS = ("parameters", "plan_data", "source")
"""Large columns of a batch, which its state does not need."""


def batch_state(batch: Batch) -> dict[str, Any]:
    """Return the state of a batch for pages, deltas and the API. Times are ISO 8601, rate items/s, eta seconds.

    `elapsed` is the seconds that its newest run has taken, without the `halts`, until its end or now.
    `eta_range` is the range of the ETA in seconds, by the variation of the rate over the last minute.
    """
    now = timezone.now()
    rate, eta = rate_and_eta(batch, now)
    return {
        "id": batch.pk,
        "status": batch.status,
        "root_status": batch.root_status,
        "revision": batch.revision,
        "paused": batch.paused,
        "window": batch.window,
        "children": batch.shown_children | {"total": batch.child_count},
        "partitions": batch.partition_count,
        "watched": batch.watched_id,
        "reading": input_progress(batch),
        "items": batch.shown_items | {"total": batch.item_count},
        "progress": progress_of(batch),
        "rate": rate,
        "eta": eta,
        "eta_range": eta_range(batch, eta, now) if eta is not None else None,
        "elapsed": batch.elapsed(now),
        "halts": batch.halts,
        "opened_at": iso(batch.opened_at),
        "closed_at": iso(batch.closed_at),
        "moments": batch.moment_count,
        "changed_at": iso(batch.changed_at),
        "start_error": batch.start_error,
        "blocked": blocked_state(batch),
        "lost": lost_state(batch),
        "held": (
            {"kind": batch.held_kind, "reason": batch.held_reason, "until": iso(batch.held_until)}
            if batch.held_kind
            else None
        ),
    }


def blocked_state(batch: Batch) -> dict[str, Any] | None:
    """Return which workflow of a batch fails its task, why, since when, and how many do; None if none does."""
    if batch.blocked_since is None:
        return None
    return {
        "workflow_id": batch.blocked["workflow_id"],
        "workflow_type": batch.blocked["workflow_type"],
        "reason": batch.blocked["reason"],
        "since": iso(batch.blocked_since),
        "workflows": len(batch.blocked["workflows"]),
    }


def lost_state(batch: Batch) -> dict[str, Any] | None:
    """Return since when it is known that database or Temporal have lost something of a batch, and what; None if not.

    `workflows` have run and have no row. `children` have to run again, with as many `items` as have no result.
    """
    if batch.lost_at is None:
        return None
    types = (RESULTS_LOST, RUN_LOST)
    lost = Node.objects.filter(batch=batch, kind=NodeKind.CHILD, error_type__in=types, status__in=FAILURES)
    left = Sum(F("length") - F("items_completed") - F("items_failed"))
    found = lost.aggregate(children=Count("pk"), items=left)
    if not found["children"] and not batch.unrecorded and batch.root_status == NodeStatus.COMPLETED:
        return None
    return {"since": iso(batch.lost_at), "workflows": batch.unrecorded, **found, "items": found["items"] or 0}


def input_progress(batch: Batch) -> dict[str, Any] | None:
    """Return the progress of an input that is read while the batch runs, with the first row that was left out."""
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


def rate_and_eta(batch: Batch, now: datetime) -> tuple[float | None, float | None]:
    """Return items per second and the seconds left, each None if unknown, for the root's newest run.

    The first run counts items. A retry counts children and takes their average number of items. A watched batch has a
    rate in children, and no ETA: how many are to come is unknown.
    """
    elapsed = batch.elapsed(now)
    if elapsed is None:
        return None, None
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
    """Return the range of the ETA in seconds, which includes the ETA itself; None if unknown."""
    left = batch.items_pending + batch.items_running
    found = eta_bounds(batch.samples, int(now.timestamp()), left)
    return (min(eta, found[0]), max(eta, found[1])) if found else None


def node_state(node: Node) -> dict[str, Any]:
    """Return the state of a node for deltas."""
    started_at, closed_at = node.shown_run
    state = {
        "id": node.pk,
        "revision": node.revision,
        "kind": node.kind,
        "parent": node.parent_id,
        "position": node.position,
        "status": node.shown_status,
        "attempt": node.attempt,
        "started_at": iso(started_at),
        "closed_at": iso(closed_at),
        "error": {"type": node.error_type, "message": node.error_message} if node.error_type else None,
        "length": node.length,
        "note": node.note,
        "items": {"completed": node.items_completed, "failed": node.items_failed},
    }
    if node.has_tallies or node.kind == NodeKind.ROOT:
        state["children"] = node.shown_children
        state["tally"] = node.shown_tally
    return state


def iso(time: datetime | None) -> str | None:
    """Return a time as ISO 8601."""
    return time.isoformat() if time is not None else None
