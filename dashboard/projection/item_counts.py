"""Item counts by status, on nodes and batch, kept in step with the items."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from django.db.models import Count

from dashboard.database.bulk import slices
from dashboard.models import Item, Node
from dashboard.models.tallies import apply_change
from dashboard.projection.ledger import Ledger, open_ledger
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status


def reset_failed_items(ledger: Ledger, nodes: Sequence[Node], runs: Sequence[str]) -> None:
    """Reset items that failed in earlier runs of their child to pending; their error stays until the next result."""
    if not nodes:
        return
    failed = Item.objects.filter(
        batch=ledger.batch, child__in=[node.position for node in nodes], status=Status.FAILED
    ).order_by()
    failed.filter(run_id__in=runs).update(status=Status.PENDING)
    left = dict(failed.values_list("child").annotate(Count("pk")))
    for node in nodes:
        node.items_failed = left.get(node.position, 0)


@contextmanager
def tallying_items(batch_id: str, at: datetime | None = None) -> Iterator[dict[int, Counter[str]]]:
    """Lock a batch while items of it are written, and add the changes of their counts to the tallies, as of a time.

    Yields {position of the child: {"items_completed": n, "items_failed": n}}, for the caller to fill.
    """
    with open_ledger(batch_id, at) as ledger:
        moved = defaultdict[int, Counter[str]](Counter)
        yield moved
        for positions in slices(list(moved)):
            nodes = Node.objects.filter(batch=ledger.batch, kind=NodeKind.CHILD, position__in=positions)
            for node in ledger.track(nodes):
                apply_change(node, moved[node.position])
            ledger.flush()
