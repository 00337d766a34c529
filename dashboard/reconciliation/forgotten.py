"""Runs that Temporal no longer knows, and that the rows have open: how they ended is told by the results.

Temporal keeps a closed run for the retention of its namespace. A dashboard that was away for longer, or whose runs were
deleted in Temporal, finds nothing there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from django.db.models import Max

from dashboard.models import Batch, Item, Node
from dashboard.models.tallies import open_children
from dashboard.projection.lost_results import LOST_RUN
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.status import ITEMS_FAILED, Failure, Status

Runs = Sequence[tuple[str, str]]
"""Runs as (workflow id, run id)."""


def ends_of_children(batch_id: str, runs: Runs) -> list[TreeEvent]:
    """Return how the children among runs ended: as their results say, or else terminated."""
    nodes = Node.objects.filter(batch=batch_id, kind=NodeKind.CHILD, workflow_id__in=[name for name, _ in runs])
    children = {node.workflow_id: node for node in nodes}
    items = Item.objects.filter(batch=batch_id, child__in=[node.position for node in children.values()])
    last = dict(items.order_by().values_list("child").annotate(Max("finished_at")))
    failed = items.filter(status=Status.FAILED).order_by("-index")
    samples = {
        child: Failure(kind, said) for child, kind, said in failed.values_list("child", "error_type", "error_message")
    }
    return [
        _end_of(child, run, last.get(child.position), samples.get(child.position))
        for name, run in runs
        if (child := children.get(name)) is not None
    ]


def ends_of_parents(batch_id: str, runs: Runs) -> list[TreeEvent]:
    """Return how parents and steps among runs ended, once their children's ends are known.

    A fan-out whose children have all ended is complete. What a flow would have done next, nobody knows.
    """
    batch = Batch.objects.get(pk=batch_id)
    is_complete = batch.is_laid_out and not open_children(batch) and _is_read(batch)
    children = Node.objects.filter(batch=batch_id, kind=NodeKind.CHILD, workflow_id__in=[name for name, _ in runs])
    known = set(children.values_list("workflow_id", flat=True))
    now = datetime.now(UTC)
    end = (now, Status.COMPLETED, None) if is_complete else (now, Status.TERMINATED, LOST_RUN)
    return [TreeEvent(EventKind.CLOSED, name, run, *end) for name, run in runs if name not in known]


def _is_read(batch: Batch) -> bool:
    """Whether an input that is read while the batch runs was read to its end; any other is written at the launch."""
    return not batch.plan.paged or bool(batch.reading.get("is_last"))


def _end_of(child: Node, run: str, last: datetime | None, sample: Failure | None) -> TreeEvent:
    written = child.items_completed + child.items_failed
    if not child.length or written < child.length:
        return TreeEvent(EventKind.CLOSED, child.workflow_id, run, datetime.now(UTC), Status.TERMINATED, LOST_RUN)
    at = last or datetime.now(UTC)
    if sample is None:
        return TreeEvent(EventKind.CLOSED, child.workflow_id, run, at, Status.COMPLETED)
    failure = sample
    if child.length > 1:
        failure = Failure(
            ITEMS_FAILED, f"{child.items_failed:,} of {child.length:,} items failed: {sample.message[:300]}"
        )
    return TreeEvent(EventKind.CLOSED, child.workflow_id, run, at, Status.FAILED, failure)
