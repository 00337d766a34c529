"""Retries: children are assigned to an operation, and requeued once their retry was accepted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from dashboard.database.bulk import slices
from dashboard.models import PARENT_KINDS, Batch, Node
from dashboard.models.tallies import closed_children
from dashboard.projection.attempts import reserve
from dashboard.projection.item_counts import reset_failed_items
from dashboard.projection.ledger import Ledger, open_ledger
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status

CLAIMED_AT_MOST = timedelta(minutes=2)
"""Longer than Temporal is asked: a web process that ended meanwhile leaves a claim behind."""


def claim(batch_id: str, nodes: Iterable[Node], operation_id: str) -> dict[int, str | None]:
    """Claim nodes for the retry of an operation, whose parameters their next attempts get.

    Return the operations that the claimed ones had, by node id. Nodes that have run again since they were read, and
    those that another operation is about to retry, are not claimed: of retries at the same time, one gets each.
    """
    read, before = {node.pk: (node.status, node.attempt) for node in nodes}, dict[int, str | None]()
    with transaction.atomic():
        Batch.objects.select_for_update().only("pk").get(pk=batch_id)  # SQLite: the transaction alone is enough
        since = timezone.now() - CLAIMED_AT_MOST
        asking = Q(operation__confirmed_at__gt=since, operation__answered_at=None) & ~Q(operation=operation_id)
        for some in slices(list(read)):
            free = Node.objects.filter(pk__in=some).exclude(asking)
            now = {pk: (state, last) for pk, *state, last in free.values_list("pk", "status", "attempt", "operation")}
            mine = {pk: last for pk, (state, last) in now.items() if tuple(state) == read[pk]}
            Node.objects.filter(pk__in=mine).update(operation_id=operation_id)
            before |= mine
    return before


def restore_operations(operations: Mapping[int, str | None]) -> None:
    """Restore the operations of nodes whose retry was refused."""
    for pk, operation_id in operations.items():
        Node.objects.filter(pk=pk).update(operation_id=operation_id)


def requeue(
    batch_id: str, children: Mapping[int, int], *, root_resumes: bool = False, window: int | None = None
) -> None:
    """Reserve the next attempts of children whose retry was accepted: {position: attempt that had closed}.

    Children that have run again since are left alone. Partitions and the root that have closed are reserved too; with
    `root_resumes` the root even without children, for the rest of its flow. `window` is the one that it starts with.
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
        if not number and not root_resumes:
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
    """Reserve the next attempts of nodes, and reset their failed items."""
    taken = ledger.track(nodes)
    runs = reserve(taken)
    failed = [node for node in taken if node.items_failed]
    reset_failed_items(ledger, failed, [run for node in failed for run in runs[node.pk]])
