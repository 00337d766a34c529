"""What the database and Temporal no longer both have: one of them was restored from an earlier state, or replaced.

Children that Temporal has completed and whose items have no result here, runs of which Temporal knows nothing any more,
and workflows that have run and have no row.
"""

from __future__ import annotations

from django.utils import timezone

from dashboard.models import Batch, Node
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import RESULTS_LOST, RUN_LOST, Failure, Status

LOST_RUN = Failure(
    RUN_LOST, "Temporal no longer has this run: its database was replaced, or restored from an earlier state."
)
"""Of a run that was open here. Its results that were written stand; it can be started again."""


def compare_results(batch: Batch, node: Node) -> None:
    """Have a completed child count as failed while items of it have no result, so that it can be retried.

    So does a root below which workflows have run that have no row. The batch remembers that something was lost.
    """
    said = _loss_of(batch, node)
    if node.status == Status.COMPLETED and said:
        node.status, node.error_type, node.error_message = Status.FAILED, RESULTS_LOST, said
    elif node.status == Status.FAILED and node.error_type == RESULTS_LOST and not said:
        node.status, node.error_type, node.error_message = Status.COMPLETED, "", ""
    if node.error_type in (RESULTS_LOST, RUN_LOST) and batch.lost_at is None:
        batch.lost_at = timezone.now()


def _loss_of(batch: Batch, node: Node) -> str:
    """Return what a completed node has lost, in words; empty for nothing."""
    if node.kind == NodeKind.ROOT and batch.unrecorded:
        return f"Completed in Temporal, but {batch.unrecorded:,} of its workflows have no record here."
    if node.kind != NodeKind.CHILD or batch.watched_id:
        return ""
    lost = node.length - node.items_completed - node.items_failed
    return f"Completed in Temporal, but {lost:,} of {node.length:,} items have no result here." if lost > 0 else ""
