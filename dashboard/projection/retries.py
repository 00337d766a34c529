"""A retry in the rows: children are claimed, given back, or queued again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from dashboard.database.bulk import slices
from dashboard.models import PARENT_KINDS, Node
from dashboard.models.tallies import closed_children
from dashboard.projection.attempts import reserve
from dashboard.projection.item_counts import reset_failed_items
from dashboard.projection.ledger import Ledger, open_ledger
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status

# Retry


def assign_operation(batch_id: str, positions: Iterable[int], operation_id: str) -> dict[int, str | None]:
    """Let an operation's parameters hold for the next attempts of children; return whose did, by node id."""
    before = dict[int, str | None]()
    with transaction.atomic():
        for some in slices(list(positions)):
            nodes = Node.objects.filter(batch=batch_id, kind=NodeKind.CHILD, position__in=some)
            before |= dict(nodes.values_list("pk", "operation_id"))
            nodes.update(operation_id=operation_id)
    return before


def restore_operations(operations: Mapping[int, str | None]) -> None:
    """Undo what `claim` did to nodes that were not taken on."""
    for pk, operation_id in operations.items():
        Node.objects.filter(pk=pk).update(operation_id=operation_id)


def requeue(batch_id: str, children: Mapping[int, int], *, goes_on: bool = False, window: int | None = None) -> None:
    """Show that a retry of children was accepted: {position: attempt that was seen to have closed}.

    Those that went on meanwhile are left alone. Their partitions and the root are shown as asked to run again too; the
    root also without any children where it `goes_on` with what it had not done. `window` is what it starts with.
    """
    with open_ledger(batch_id) as ledger:
        was_closed = Status(ledger.root.status).is_outcome
        parents, number = set[int](), 0
        for positions in slices(list(children)):
            nodes = Node.objects.filter(batch=ledger.batch, kind=NodeKind.CHILD, position__in=positions)
            closed = [
                node for node in nodes if Status(node.status).is_retryable and node.attempt == children[node.position]
            ]
            _reserve(ledger, closed)
            parents.update(node.parent_id for node in closed if node.parent_id is not None)
            number += len(closed)
            ledger.flush()
        if not number and not goes_on:
            return
        direct = Q(pk__in=parents, kind__in=PARENT_KINDS)
        stages = Q(below__in=parents, kind=NodeKind.STAGE)
        above = list(Node.objects.filter(direct | stages, batch=ledger.batch).distinct())
        _reserve(ledger, [node for node in (ledger.root, *above) if Status(node.status).is_outcome])
        batch = ledger.batch
        if was_closed:
            batch.opened_at, batch.done_at_open = timezone.now(), closed_children(batch)
            batch.paused = False
            if window is not None:
                batch.window, batch.window_at = window, timezone.now()
        else:
            batch.done_at_open = max(0, batch.done_at_open - number)


def _reserve(ledger: Ledger, nodes: Iterable[Node]) -> None:
    """Let nodes wait for another attempt; their failed items wait again too."""
    taken = ledger.take(nodes)
    runs = reserve(taken)
    failed = [node for node in taken if node.items_failed]
    reset_failed_items(ledger, failed, [run for node in failed for run in runs[node.pk]])
