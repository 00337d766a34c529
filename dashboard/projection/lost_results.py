"""Children that Temporal has completed and whose items have no result here: a restored database, or a lost second."""

from __future__ import annotations

from dashboard.models import Node
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status

RESULTS_LOST = "ResultsLost"


def compare_results(node: Node) -> None:
    """Have a completed child count as failed while items of it have no result, so that it can be retried."""
    if node.kind != NodeKind.CHILD:
        return
    lost = node.length - node.items_completed - node.items_failed
    if node.status == Status.COMPLETED and lost > 0:
        node.status, node.error_type = Status.FAILED, RESULTS_LOST
        node.error_message = f"Completed in Temporal, but {lost:,} of {node.length:,} items have no result here."
    elif node.status == Status.FAILED and node.error_type == RESULTS_LOST and lost <= 0:
        node.status, node.error_type, node.error_message = Status.COMPLETED, "", ""
