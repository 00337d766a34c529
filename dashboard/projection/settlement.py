"""The end of a batch: what will not run is skipped once it has closed or was discarded; why it could not start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models import Count, F, Q, QuerySet, Sum
from django.utils import timezone

from dashboard.database.bulk import slices, update_rows
from dashboard.models import Attempt, Node
from dashboard.projection.attempts import ATTEMPT_STATE, ENDED_WITH_PARENT, release, runs_of, show_newest
from dashboard.projection.ledger import Ledger, open_ledger
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Failure, Status


def settle(batch_id: str, revision: int, *, is_lost: bool = False) -> None:
    """Skip what is still pending, once the newest run of the root is known to have closed, or to be lost.

    Does nothing if the batch has changed since the revision that was compared with Temporal.
    """
    with open_ledger(batch_id) as ledger:
        if ledger.batch.revision == revision:
            release([ledger.root])
            if is_lost and ledger.batch.lost_at is None:
                ledger.batch.lost_at = ledger.at
            if Status(ledger.root.status).is_outcome:
                end_with_parents(ledger, _parents_to_look_below(batch_id))
                _skip_pending(ledger, reserved_too=True)


def _parents_to_look_below(batch_id: str) -> QuerySet[Node]:
    """Return the workflows of a batch that are no children, and those children below which a step still runs."""
    nodes = Node.objects.filter(batch=batch_id)
    above_open = nodes.filter(is_workflow=False, status=Status.RUNNING).values("parent")
    return nodes.filter(~Q(kind=NodeKind.CHILD) | Q(pk__in=above_open), is_workflow=True)


def discard(batch_id: str) -> bool:
    """Cancel a batch unless its root was started; return whether it was canceled."""
    with open_ledger(batch_id) as ledger:
        if ledger.root.status != Status.PENDING or ledger.root.attempt:
            return False
        ledger.root.status, ledger.root.closed_at = Status.CANCELED, timezone.now()
        ledger.batch.start_error = ""
        _skip_pending(ledger, reserved_too=True)
    return True


def set_start_error(batch_id: str, error: str) -> None:
    """Store why a pending batch could not be started; empty once it was."""
    with open_ledger(batch_id) as ledger:
        ledger.batch.start_error = error


def skip_below_closed_root(ledger: Ledger) -> None:
    """Skip what a root that failed or was stopped left pending. Below one that completed, events are only late."""
    closed = [attempt for attempt in Attempt.objects.filter(node=ledger.root) if Status(attempt.status).is_retryable]
    if closed:
        _skip_pending(ledger, reserved_too=Status(ledger.root.status).is_retryable)


def end_with_parents(ledger: Ledger, parents: Iterable[Node]) -> None:
    """Close what is no workflow of its own and still runs below workflows whose newest run has ended.

    Nobody is left to report it. It ends when its parent did, canceled with it or else terminated. A child that has
    all its results has completed; so has one whose parent has completed, and what then has no result says so. The
    steps of a child that has completed have completed, too.
    """
    for parent in parents:
        if not Status(parent.status).is_outcome:
            continue
        level = [parent.pk]
        while level:
            below = Node.objects.filter(parent__in=level, is_workflow=False)
            for ids in slices(list(below.filter(status=Status.RUNNING).values_list("pk", flat=True))):
                _close(ledger, ids, parent)
            level = list(below.exclude(kind=NodeKind.CHILD).values_list("pk", flat=True))


def _close(ledger: Ledger, ids: Sequence[int], parent: Node) -> None:
    nodes = ledger.track(Node.objects.filter(pk__in=ids))
    runs, changed, at = runs_of(nodes), list[Attempt](), parent.closed_at or timezone.now()
    for node in nodes:
        outcome, failure = _end_below(parent, node)
        open_runs = [run for run in runs[node.pk].values() if not Status(run.status).is_outcome]
        for run in open_runs:
            run.status, run.closed_at = outcome, max(at, run.started_at or at)
            run.error_type, run.error_message = (failure.type, failure.message) if failure else ("", "")
        changed += open_runs
        show_newest(node, runs[node.pk])
    update_rows(Attempt, changed, ATTEMPT_STATE)
    ledger.flush()


def _end_below(parent: Node, node: Node) -> tuple[Status, Failure | None]:
    is_whole = 0 < node.length <= node.items_completed
    is_of_completed = parent.status == Status.COMPLETED and not node.items_failed
    is_step_of_child = node.kind == NodeKind.STEP and parent.kind == NodeKind.CHILD
    if (node.kind == NodeKind.CHILD and (is_whole or is_of_completed)) or (is_step_of_child and is_of_completed):
        return Status.COMPLETED, None
    return (Status.CANCELED if parent.status == Status.CANCELED else Status.TERMINATED), ENDED_WITH_PARENT


def _skip_pending(ledger: Ledger, *, reserved_too: bool) -> None:
    """Skip nodes that never ran, in bulk: there may be 100,000. Reserved ones show their last run again."""
    ledger.flush()
    pending = Node.objects.filter(batch=ledger.batch, status=Status.PENDING).exclude(pk=ledger.root.pk)
    if reserved_too:
        for ids in slices(list(pending.filter(attempt__gt=0).values_list("pk", flat=True))):
            release(ledger.track(Node.objects.filter(pk__in=ids)))
            ledger.flush()
    never_ran = pending.filter(attempt=0)
    for parent, children, items in _children_by_parent(never_ran):
        change = {
            "children_pending": -children,
            "children_skipped": children,
            "items_pending": -items,
            "items_skipped": items,
        }
        ledger.add_to_tallies(parent, change)
    if never_ran.update(status=Status.SKIPPED, revision=ledger.revision):
        ledger.mark_changed()


def _children_by_parent(nodes: QuerySet[Node]) -> list[tuple[int | None, int, int]]:
    """Return (parent, number of children, number of their items not yet done) for the children among nodes."""
    left = Sum(F("length") - F("items_completed") - F("items_failed"))
    children = nodes.filter(kind=NodeKind.CHILD).order_by()
    return list(children.values_list("parent").annotate(number=Count("pk"), left=left))
