"""Arithmetic of tallies: what a node adds to those above it, and the batch status that follows from them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from dashboard.models.batches import Batch, Tally
from dashboard.models.choices import FAILURES, BatchStatus
from dashboard.models.nodes import Node
from dashboard.models.statuses import outcome_of
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import ROLLED_BACK, Status

ROOT_OUTCOMES = {
    Status.FAILED: BatchStatus.FAILED,
    Status.CANCELED: BatchStatus.CANCELED,
    Status.TERMINATED: BatchStatus.TERMINATED,
    Status.TIMED_OUT: BatchStatus.TIMED_OUT,
    Status.SKIPPED: BatchStatus.CANCELED,
}


def contribution(node: Node) -> Counter[str]:
    """Return what a node adds to the tally columns of its parents and its batch; nothing unless it is a child.

    Items that are neither completed nor failed count under the child's status, so that all add up to its length.
    """
    if node.kind != NodeKind.CHILD:
        return Counter()
    left = node.length - node.items_completed - node.items_failed
    columns = Counter(
        {f"children_{node.status}": 1, "items_completed": node.items_completed, "items_failed": node.items_failed}
    )
    columns[f"items_{node.status}"] += left
    return columns


def apply_change(tally: Tally, change: Mapping[str, int]) -> None:
    """Add a change of columns to the tally of a batch or node."""
    for column, number in change.items():
        setattr(tally, column, getattr(tally, column) + number)


def open_children(batch: Batch) -> int:
    """Return how many children are pending or running."""
    return batch.children_pending + batch.children_running


def closed_children(batch: Batch) -> int:
    """Return how many children have an outcome."""
    return batch.child_count - open_children(batch)


def failed_children(batch: Batch) -> int:
    """Return how many children failed, timed out or were terminated."""
    return sum(batch.children[status.value] for status in FAILURES)


def failures(batch: Batch) -> int:
    """Return how many items failed, timed out or were terminated; or children, where no item did."""
    return sum(batch.items_by_status[status.value] for status in FAILURES) or failed_children(batch)


def done(batch: Batch) -> int:
    """Return how much of a batch is done, in items; in children if it is watched."""
    return closed_children(batch) if batch.watched_id else batch.items_completed + batch.items_failed


def batch_status(batch: Batch, root: Node) -> BatchStatus:
    """Return the status of a batch as a person sees it.

    A root that is reserved for a retry counts as running. So does one that completed while children are not known to
    have closed: the reconciler finds out.
    """
    status = Status(root.status)
    if status is Status.PENDING:
        return BatchStatus.RUNNING if root.attempt > 1 else BatchStatus.PENDING
    if status is Status.RUNNING:
        moving = BatchStatus.SCHEDULED if batch.unattended else BatchStatus.RUNNING
        halted = BatchStatus.PAUSED if batch.paused else moving
        return BatchStatus.HELD if batch.held_kind else halted
    if status is Status.FAILED and root.error_type == ROLLED_BACK:
        return BatchStatus.ROLLED_BACK
    if status is not Status.COMPLETED:
        return ROOT_OUTCOMES[status]
    if open_children(batch):
        return BatchStatus.RUNNING
    return outcome_of(batch.children, batch.items_completed)
