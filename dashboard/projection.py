"""Projection: tree events and results become rows. The only writer of nodes, attempts and tallies.

Every function is one transaction, and may be called twice, late, or out of order without harm.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet, Sum
from django.utils import timezone

from dashboard.attempts import (
    ATTEMPT_STATE,
    Runs,
    is_reserved,
    note_events,
    release,
    reserve,
    runs_of,
    show_newest,
    show_result,
)
from dashboard.columns import insert_rows, update_rows
from dashboard.ledger import Ledger, open_ledger
from dashboard.models import PARENT_KINDS, Attempt, Batch, Item, Node
from dashboard.moments import apply_words, make_places, note_moments
from dashboard.tallies import add, closed_children
from orchestration.contracts import EventKind, NodeKind, Status, TreeEvent

log = logging.getLogger(__name__)

ROWS_AT_ONCE = 500
"""Nodes that are loaded and written together; also what fits into one IN clause."""

T = TypeVar("T")


# Events


def apply(batch_id: str, events: Sequence[TreeEvent]) -> None:
    """Project tree events. Events of batches or nodes that do not exist are dropped with a warning."""
    try:
        with open_ledger(batch_id) as ledger:
            if ledger.batch.is_discarded:
                log.warning("Dropped %s events of batch %s, which was discarded.", len(events), batch_id)
                return
            for some in _slices(events):
                make_places(ledger, some)
                _apply_runs(ledger, [event for event in some if event.kind in (EventKind.STARTED, EventKind.CLOSED)])
                apply_words(ledger, some)
                _apply_steering(ledger, some)
                note_moments(ledger, some)
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
    runs = runs_of(nodes)
    rerun, changed = list[Node](), list[Attempt]()
    for node in nodes:
        before, its_events = node.run_id, by_workflow.pop(node.workflow_id)
        touched = note_events(node, runs[node.pk], its_events)
        changed += touched
        if node.pk == ledger.root.pk:
            _show_root(ledger, runs[node.pk], its_events)
        elif touched:
            show_newest(node, runs[node.pk])
            show_result(node, its_events)
        if node.run_id != before and node.items_failed:
            rerun.append(node)
    update_rows(Attempt, [attempt for attempt in changed if attempt.pk is not None], ATTEMPT_STATE)
    insert_rows(Attempt, [attempt for attempt in changed if attempt.pk is None])
    _reset_failed_items(ledger, rerun, [run for node in rerun for run in runs[node.pk] if run != node.run_id])
    for workflow_id in by_workflow:
        log.warning("Dropped events of %s, which is not in batch %s.", workflow_id, ledger.batch.pk)


def _show_root(ledger: Ledger, runs: Runs, events: Iterable[TreeEvent]) -> None:
    """Let the root and its batch show the newest run. A root that starts or closes is not paused."""
    batch, root = ledger.batch, ledger.root
    run_before, was_asked_for = root.run_id, is_reserved(root)
    show_newest(root, runs)
    for event in events:
        _steer(batch, event.at, paused=False)
        batch.held_kind, batch.held_reason, batch.held_until = "", "", None
    if root.status != Status.PENDING:
        batch.opened_at = root.started_at or root.closed_at
    if root.run_id != run_before:
        batch.start_error = ""
        if root.attempt > 1 and not was_asked_for:
            batch.done_at_open = closed_children(batch)


def _apply_steering(ledger: Ledger, events: Iterable[TreeEvent]) -> None:
    batch = ledger.batch
    for event in events:
        if event.kind is EventKind.WINDOW and event.window and (batch.window_at is None or event.at >= batch.window_at):
            batch.window, batch.window_at = event.window, event.at
        elif event.kind in (EventKind.PAUSED, EventKind.RESUMED):
            _steer(batch, event.at, paused=event.kind is EventKind.PAUSED)


def _steer(batch: Batch, at: datetime, *, paused: bool) -> None:
    """Note a pause or its end, unless a newer one is known."""
    if batch.steered_at is None or at >= batch.steered_at:
        batch.paused, batch.steered_at = paused, at


# Retry


def claim(batch_id: str, positions: Iterable[int], operation_id: str) -> dict[int, str | None]:
    """Let an operation's parameters hold for the next attempts of children; return whose did, by node id."""
    before = dict[int, str | None]()
    with transaction.atomic():
        for some in _slices(list(positions)):
            nodes = Node.objects.filter(batch=batch_id, kind=NodeKind.CHILD, position__in=some)
            before |= dict(nodes.values_list("pk", "operation_id"))
            nodes.update(operation_id=operation_id)
    return before


def give_back(operations: Mapping[int, str | None]) -> None:
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
        for positions in _slices(list(children)):
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


# Growth


@contextmanager
def growing(batch_id: str) -> Iterator[Ledger]:
    """Lock a batch while `growth` writes nodes and items below it. Raises LookupError, also once it is discarded."""
    try:
        with open_ledger(batch_id) as ledger:
            if ledger.batch.is_discarded:
                raise Batch.DoesNotExist
            yield ledger
    except Batch.DoesNotExist as error:
        raise LookupError(f"Batch {batch_id} does not exist.") from error


# The end


def settle(batch_id: str, revision: int) -> None:
    """Say that Temporal's newest run of the root is known and closed: what is still pending below will not run.

    Does nothing when the batch has moved on from the revision that was compared.
    """
    with open_ledger(batch_id) as ledger:
        if ledger.batch.revision == revision:
            release([ledger.root])
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
            release(ledger.take(Node.objects.filter(pk__in=ids)))
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
