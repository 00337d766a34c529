"""Projection: tree events and results become rows. The only writer of nodes, attempts and tallies.

Every function is one transaction, and may be called twice, late, or out of order without harm: a node shows its newest
run, or that another one was asked for (pending, with the attempt's number reserved), or that none will come (skipped).
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from django.db.models import Count, F, QuerySet, Sum
from django.utils import timezone

from dashboard.ledger import Ledger, open_ledger, update_rows
from dashboard.models import Attempt, Batch, Item, Node
from dashboard.storable import text
from dashboard.tallies import add, closed_children
from orchestration.contracts import EventKind, NodeKind, Status, TreeEvent

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 500
"""Nodes that are loaded and written together; also what fits into one IN clause."""

ATTEMPT_STATE = ("number", "status", "started_at", "closed_at", "error_type", "error_message")
SHOWN = ("run_id", "status", "started_at", "closed_at", "error_type", "error_message")

Runs = dict[str, Attempt]
T = TypeVar("T")


# Events


def apply(batch_id: str, events: Sequence[TreeEvent]) -> None:
    """Project tree events. Events of batches or nodes that do not exist are dropped with a warning."""
    try:
        with open_ledger(batch_id) as ledger:
            for some in _slices(events):
                _apply_runs(ledger, [event for event in some if event.kind in (EventKind.STARTED, EventKind.CLOSED)])
                _apply_steering(ledger, some)
                ledger.flush()
            if any(event.workflow_id == ledger.root.workflow_id for event in events):
                _skip_below_closed_root(ledger)
    except Batch.DoesNotExist:
        log.warning("Dropped %s events of batch %s, which does not exist.", len(events), batch_id)


def _apply_runs(ledger: Ledger, events: Sequence[TreeEvent]) -> None:
    by_workflow = defaultdict[str, list[TreeEvent]](list)
    for event in events:
        by_workflow[event.workflow_id].append(event)
    nodes = ledger.take(Node.objects.filter(batch=ledger.batch, workflow_id__in=by_workflow))
    runs = _runs_of(nodes)
    rerun, changed = dict[int, Node](), list[Attempt]()
    for node in nodes:
        before = node.run_id
        changed += _project_node(ledger, node, runs[node.pk], by_workflow.pop(node.workflow_id))
        if node.run_id != before and node.items_failed:
            rerun[node.pk] = node
    Attempt.objects.bulk_create([attempt for attempt in changed if attempt.pk is None])
    update_rows(Attempt, [attempt for attempt in changed if attempt.pk is not None], ATTEMPT_STATE)
    older = [run for node in rerun.values() for run in runs[node.pk] if run != node.run_id]
    _reset_failed_items(ledger, list(rerun.values()), older)
    for workflow_id in by_workflow:
        log.warning("Dropped events of %s, which is not in batch %s.", workflow_id, ledger.batch.pk)


def _runs_of(nodes: Iterable[Node]) -> defaultdict[int, Runs]:
    """Return the known runs of each node: {node id: {run id: attempt}}."""
    runs = defaultdict[int, Runs](dict)
    for attempt in Attempt.objects.filter(node__in=nodes).order_by():
        runs[attempt.node_id][attempt.run_id] = attempt
    return runs


def _project_node(ledger: Ledger, node: Node, runs: Runs, events: Iterable[TreeEvent]) -> Iterable[Attempt]:
    """Bring a node and its attempts up to date with its events, and return the attempts to be saved."""
    touched = dict[str, Attempt]()
    for event in events:
        attempt = runs.get(event.run_id)
        if attempt is None:
            attempt = runs[event.run_id] = Attempt(batch=ledger.batch, node=node, number=0, run_id=event.run_id)
        if _project_event(attempt, event):
            touched[event.run_id] = attempt
        if node.pk == ledger.root.pk:
            _steer(ledger.batch, event.at, paused=False)
    if not touched:
        return ()
    for number, attempt in enumerate(sorted(runs.values(), key=_began), start=1):
        if attempt.number != number:
            attempt.number = number
            touched[attempt.run_id] = attempt
    _show_newest(ledger, node, runs)
    return touched.values()


def _began(attempt: Attempt) -> tuple[datetime, str]:
    """Order the runs of a node: one begins after the one before has closed, so either time will do."""
    began = attempt.started_at or attempt.closed_at
    assert began is not None, "an event sets one of them"
    return began, attempt.run_id


def _project_event(attempt: Attempt, event: TreeEvent) -> bool:
    """Note an event on its run, and return whether it said anything new.

    Parent and reconciler may report a run with different times, and a root even an outcome that it then did not have:
    the first start and the last close count, so that the order of arrival does not.
    """
    if event.kind is EventKind.STARTED:
        is_news = attempt.started_at is None or event.at < attempt.started_at
        if is_news:
            attempt.started_at = event.at
        return is_news
    outcome = event.outcome or Status.COMPLETED
    if attempt.closed_at is not None and (event.at, outcome.value) <= (attempt.closed_at, attempt.status):
        return False
    attempt.status, attempt.closed_at = outcome, event.at
    attempt.error_type = text(event.failure.type[:200]) if event.failure else ""
    attempt.error_message = text(event.failure.message) if event.failure else ""
    return True


def _show_newest(ledger: Ledger, node: Node, runs: Runs) -> None:
    """Let a node show its newest run, unless a further one was asked for after it."""
    newest = max(runs.values(), key=lambda attempt: attempt.number)
    is_reserved = node.status == Status.PENDING and node.attempt > 0
    if is_reserved and newest.run_id == node.run_id:
        node.attempt = len(runs) + 1
        return
    is_new = newest.run_id != node.run_id
    node.attempt = newest.number
    for name in SHOWN:
        setattr(node, name, getattr(newest, name))
    if node.pk == ledger.root.pk:
        ledger.batch.opened_at = newest.started_at or ledger.batch.opened_at
        if is_new:
            ledger.batch.start_error = ""
        if is_new and newest.number > 1 and not is_reserved:
            ledger.batch.done_at_open = closed_children(ledger.batch)


def _apply_steering(ledger: Ledger, events: Iterable[TreeEvent]) -> None:
    batch = ledger.batch
    for event in events:
        if event.kind is EventKind.WINDOW and event.window and (batch.window_at is None or event.at >= batch.window_at):
            batch.window, batch.window_at = event.window, event.at
        elif event.kind in (EventKind.PAUSED, EventKind.RESUMED):
            _steer(batch, event.at, paused=event.kind is EventKind.PAUSED)


def _steer(batch: Batch, at: datetime, *, paused: bool) -> None:
    """Note a pause or its end. A root that starts or closes is not paused."""
    if batch.steered_at is None or at >= batch.steered_at:
        batch.paused, batch.steered_at = paused, at


# Retry


def requeue(batch_id: str, children: Mapping[int, int]) -> None:
    """Show that a retry of children was accepted: {position: attempt that was seen to have closed}.

    Those that went on meanwhile are left alone. Their partitions and the root are shown as asked to run again too.
    """
    with open_ledger(batch_id) as ledger:
        was_closed = Status(ledger.root.status).is_outcome
        parents, number = set[int](), 0
        for positions in _slices(list(children)):
            nodes = Node.objects.filter(batch=ledger.batch, kind=NodeKind.CHILD, position__in=positions)
            closed = [
                node for node in nodes if Status(node.status).is_retryable and node.attempt == children[node.position]
            ]
            _reserve(ledger, closed)
            parents.update(node.parent_id for node in closed if node.parent_id is not None)
            number += len(closed)
            ledger.flush()
        if not number:
            return
        above = list(Node.objects.filter(batch=ledger.batch, pk__in=parents, kind=NodeKind.PARTITION))
        _reserve(ledger, [node for node in (ledger.root, *above) if Status(node.status).is_outcome])
        batch = ledger.batch
        if was_closed:
            batch.opened_at, batch.done_at_open = timezone.now(), closed_children(batch)
            batch.paused = False
        else:
            batch.done_at_open = max(0, batch.done_at_open - number)


def _reserve(ledger: Ledger, nodes: Iterable[Node]) -> None:
    """Show nodes as pending, with the number of their next attempt; their failed items wait again too."""
    taken = ledger.take(nodes)
    runs = _runs_of(taken)
    for node in taken:
        node.attempt, node.status = len(runs[node.pk]) + 1, Status.PENDING
        node.started_at = node.closed_at = None
        node.error_type = node.error_message = ""
    failed = [node for node in taken if node.items_failed]
    _reset_failed_items(ledger, failed, [run for node in failed for run in runs[node.pk]])


def _reset_failed_items(ledger: Ledger, nodes: Sequence[Node], runs: Sequence[str]) -> None:
    """Put items of children that failed in earlier runs back to pending; their error stays until the next result."""
    if not nodes:
        return
    failed = Item.objects.filter(
        batch=ledger.batch, child__in=[node.position for node in nodes], status=Status.FAILED
    ).order_by()
    failed.filter(run_id__in=runs).update(status=Status.PENDING)
    left = dict(failed.values_list("child").annotate(Count("pk")))
    for node in nodes:
        node.items_failed = left.get(node.position, 0)


# The end


def settle(batch_id: str, revision: int) -> None:
    """Say that Temporal's newest run of the root is known and closed: what is still pending below will not run.

    Does nothing when the batch has moved on from the revision that was compared.
    """
    with open_ledger(batch_id) as ledger:
        if ledger.batch.revision == revision:
            _release(ledger, [ledger.root])
            if Status(ledger.root.status).is_outcome:
                _skip_pending(ledger, reserved_too=True)


def discard(batch_id: str) -> bool:
    """Cancel a batch whose root was never started; return whether it was still so."""
    with open_ledger(batch_id) as ledger:
        if ledger.root.status != Status.PENDING or ledger.root.attempt:
            return False
        ledger.root.status, ledger.root.closed_at = Status.CANCELED, timezone.now()
        ledger.batch.start_error = ""
        _skip_pending(ledger, reserved_too=True)
    return True


def note_start_error(batch_id: str, error: str) -> None:
    """Say on a pending batch why it has not started yet."""
    with open_ledger(batch_id) as ledger:
        ledger.batch.start_error = error


def _skip_below_closed_root(ledger: Ledger) -> None:
    """Skip what a root left behind that stopped early. One that completed has left nothing: its news are late."""
    closed = [attempt for attempt in Attempt.objects.filter(node=ledger.root) if Status(attempt.status).is_retryable]
    if closed:
        _skip_pending(ledger, reserved_too=Status(ledger.root.status).is_retryable)


def _skip_pending(ledger: Ledger, *, reserved_too: bool) -> None:
    """Skip nodes that never ran, in bulk: there may be 100,000. Those that were to run again show their last run."""
    ledger.flush()
    pending = Node.objects.filter(batch=ledger.batch, status=Status.PENDING).exclude(pk=ledger.root.pk)
    if reserved_too:
        for ids in _slices(list(pending.filter(attempt__gt=0).values_list("pk", flat=True))):
            _release(ledger, ledger.take(Node.objects.filter(pk__in=ids)))
            ledger.flush()
    never_ran = pending.filter(attempt=0)
    for parent, children, items in _sums(never_ran):
        change = {
            "children_pending": -children,
            "children_skipped": children,
            "items_pending": -items,
            "items_skipped": items,
        }
        ledger.move(parent, change)
    never_ran.update(status=Status.SKIPPED, revision=ledger.revision)


def _sums(nodes: QuerySet[Node]) -> list[tuple[int | None, int, int]]:
    """Return (parent, number of children, number of their items not yet done) of the children among nodes."""
    left = Sum(F("length") - F("items_completed") - F("items_failed"))
    children = nodes.filter(kind=NodeKind.CHILD).order_by()
    return list(children.values_list("parent").annotate(number=Count("pk"), left=left))


def _release(ledger: Ledger, nodes: Sequence[Node]) -> None:
    """Take back the promise of another attempt: nodes show their newest run again, or that they never ran."""
    reserved = [node for node in nodes if node.status == Status.PENDING and node.attempt > 0]
    runs = _runs_of(reserved)
    for node in reserved:
        node.attempt = len(runs[node.pk])
        newest = max(runs[node.pk].values(), key=lambda attempt: attempt.number, default=None)
        if newest is None:
            node.status = Status.SKIPPED
        else:
            for name in SHOWN:
                setattr(node, name, getattr(newest, name))


# Results


@contextmanager
def counting_items(batch_id: str) -> Iterator[dict[int, Counter[str]]]:
    """Lock a batch while `store` writes items of it, and add what it says has moved to the tallies.

    Yields {position of the child: {"items_completed": n, "items_failed": n}}, to be filled.
    """
    with open_ledger(batch_id) as ledger:
        moved = defaultdict[int, Counter[str]](Counter)
        yield moved
        for positions in _slices(list(moved)):
            nodes = Node.objects.filter(batch=ledger.batch, kind=NodeKind.CHILD, position__in=positions)
            for node in ledger.take(nodes):
                add(node, moved[node.position])
            ledger.flush()


def _slices(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[first : first + ROWS_AT_ONCE]
