"""Progress: what became of the items that a batch was given, however many stages they pass."""

from __future__ import annotations

from collections import Counter

from dashboard.models import Batch, Node
from dashboard.models.statuses import shown_counts
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status


def progress_of(batch: Batch) -> dict[str, int]:
    """Return the items that a batch was given by status, and in total; of a watched one, its children.

    An item of a pipeline has completed with the last stage, and failed where it failed; one that no later stage took on
    was skipped, once the batch has ended. The tallies count it once for each stage.
    """
    if batch.watched_id:
        return batch.shown_children | {"total": batch.child_count}
    if not batch.final_stage:
        return batch.shown_items | {"total": batch.item_count}
    stages = list(Node.objects.filter(batch=batch, kind=NodeKind.STAGE).order_by("position", "pk"))
    total = sum(node.length for node in stages if node.label == stages[0].label) if stages else batch.item_count
    counts = Counter[str]()
    for node in stages:
        counts.update(node.items_by_status)
    counts[Status.COMPLETED.value] = sum(node.items_completed for node in stages if node.label == batch.final_stage)
    counts[Status.PENDING.value] = 0
    left = Status.PENDING if batch.is_open else Status.SKIPPED
    counts[left.value] += max(0, total - counts.total())
    by_status = {status.value: counts[status.value] for status in Status}
    return shown_counts(by_status, batch.status) | {"total": total}
