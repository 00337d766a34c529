"""Projection: tree events and results become rows. The only writer of nodes, attempts and tallies.

Every function is one transaction, takes the batch's next revision first (which serialises writers of one batch), and
may be called twice, late, or out of order without harm.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Count, F, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from dashboard.models import Attempt, Batch, Item, Node
from dashboard.tallies import add, batch_status, closed_children, contribution
from orchestration.contracts import EventKind, NodeKind, Status, TreeEvent

log = logging.getLogger(__name__)

NODE_STATE = ("status", "attempt", "run_id", "started_at", "closed_at", "error_type", "error_message", "revision")
TALLY_COLUMNS = tuple(f"{what}_{status.value}" for what in ("children", "items") for status in Status)
BATCH_STATE = ("status", "paused", "window", "steered_at", "opened_at", "closed_at", "done_at_open", "start_error")
ATTEMPT_STATE = ("number", "status", "started_at", "closed_at", "error_type", "error_message")


@dataclass
class _Change:
    """One transaction's work on a batch: its locked row, its root, and the nodes that are being changed."""

    batch: Batch
    root: Node
    nodes: dict[int, Node] = field(default_factory=dict)
    before: dict[int, Counter[str]] = field(default_factory=dict)

    def take(self, nodes: Iterable[Node]) -> None:
        """Remember what nodes contribute before they are changed."""
        for node in nodes:
            if node.pk == self.root.pk:
                node = self.root
            if node.pk not in self.nodes:
                self.nodes[node.pk] = node
                self.before[node.pk] = contribution(node)

    def save(self) -> None:
        """Write nodes, the tallies above them and the batch's status, all at the new revision."""
        above = defaultdict[int, Counter[str]](Counter)
        for pk, node in self.nodes.items():
            node.revision = self.batch.revision
            change = contribution(node)
            change.subtract(self.before[pk])
            if any(change.values()):
                add(self.batch, change)
                if node.parent_id is not None and node.parent_id != self.root.pk:
                    above[node.parent_id].update(change)
        update_rows(Node, self.nodes.values(), (*NODE_STATE, "items_completed", "items_failed"))
        for parent_id, change in above.items():
            _add_to_partition(parent_id, change, self.batch.revision)
        self.batch.status = batch_status(self.batch, self.root)
        self.batch.closed_at = None if self.batch.is_open else self.batch.closed_at or timezone.now()
        self.batch.save(update_fields=[*BATCH_STATE, *TALLY_COLUMNS])


@contextmanager
def _change(batch_id: str) -> Iterator[_Change]:
    """Lock a batch and take its next revision. Raises Batch.DoesNotExist."""
    with transaction.atomic():
        Batch.objects.filter(pk=batch_id).update(revision=F("revision") + 1)
        batch = Batch.objects.get(pk=batch_id)
        root = Node.objects.get(batch=batch, kind=NodeKind.ROOT)
        change = _Change(batch, root)
        yield change
        change.save()


def apply(batch_id: str, events: Sequence[TreeEvent]) -> None:
    """Project tree events. Events of batches or nodes that do not exist are dropped with a warning."""
    try:
        with _change(batch_id) as change:
            _apply_runs(change, [event for event in events if event.kind in (EventKind.STARTED, EventKind.CLOSED)])
            _apply_steering(change.batch, events)
            if Status(change.root.status).is_retryable:
                _skip_pending(change)
    except Batch.DoesNotExist:
        log.warning("Dropped %s events of batch %s, which does not exist.", len(events), batch_id)


def _apply_steering(batch: Batch, events: Iterable[TreeEvent]) -> None:
    for event in events:
        if batch.steered_at is not None and event.at < batch.steered_at:
            continue
        if event.kind is EventKind.WINDOW and event.window:
            batch.window, batch.steered_at = event.window, event.at
        elif event.kind in (EventKind.PAUSED, EventKind.RESUMED):
            batch.paused, batch.steered_at = event.kind is EventKind.PAUSED, event.at


def _apply_runs(change: _Change, events: Sequence[TreeEvent]) -> None:
    by_workflow = defaultdict[str, list[TreeEvent]](list)
    for event in events:
        by_workflow[event.workflow_id].append(event)
    nodes = {node.workflow_id: node for node in Node.objects.filter(batch=change.batch, workflow_id__in=by_workflow)}
    change.take(nodes.values())
    runs = defaultdict[int, dict[str, Attempt]](dict)
    for attempt in Attempt.objects.filter(node__in=nodes.values()):
        runs[attempt.node_id][attempt.run_id] = attempt
    changed = list[Attempt]()
    for workflow_id, its_events in by_workflow.items():
        if workflow_id not in nodes:
            log.warning("Dropped %s events of %s, which is not in batch %s.", len(its_events), workflow_id, change.batch)
            continue
        node = change.nodes[nodes[workflow_id].pk]
        changed += _project_node(change, node, runs[node.pk], its_events)
    Attempt.objects.bulk_create([attempt for attempt in changed if attempt.pk is None])
    update_rows(Attempt, [attempt for attempt in changed if attempt.pk is not None], ATTEMPT_STATE)


def _project_node(
    change: _Change, node: Node, runs: dict[str, Attempt], events: Iterable[TreeEvent]
) -> Iterable[Attempt]:
    """Bring a node and its attempts up to date with its events, and return the attempts to be saved."""
    touched = dict[str, Attempt]()
    for event in events:
        attempt = runs.get(event.run_id)
        if attempt is None:
            attempt = Attempt(batch=change.batch, node=node, number=0, run_id=event.run_id)
            runs[event.run_id] = attempt
        touched[event.run_id] = attempt
        _project_event(attempt, event)
    for number, attempt in enumerate(sorted(runs.values(), key=_began), start=1):
        if attempt.number != number:
            attempt.number = number
            touched[attempt.run_id] = attempt
    newest = max(runs.values(), key=lambda attempt: attempt.number)
    if newest.number >= node.attempt:
        _show_attempt(change, node, newest)
    return touched.values()


def _began(attempt: Attempt) -> datetime:
    began = attempt.started_at or attempt.closed_at
    assert began is not None, "an event sets one of them"
    return began


def _project_event(attempt: Attempt, event: TreeEvent) -> None:
    if event.kind is EventKind.STARTED:
        attempt.started_at = attempt.started_at or event.at
    elif attempt.status == Status.RUNNING:
        attempt.status = event.outcome or Status.COMPLETED
        attempt.closed_at = event.at
        if event.failure is not None:
            attempt.error_type = event.failure.type[:200]
            attempt.error_message = event.failure.message.replace("\x00", "\ufffd")


def _show_attempt(change: _Change, node: Node, newest: Attempt) -> None:
    """Let a node show its newest attempt."""
    if newest.number > max(node.attempt, 1) and node.kind == NodeKind.CHILD:
        _reset_failed_items(change.batch, [node], except_run=newest.run_id)
    if node.kind == NodeKind.ROOT and node.run_id != newest.run_id:
        change.batch.opened_at = newest.started_at
        change.batch.done_at_open = closed_children(change.batch)
        change.batch.paused = False
        change.batch.start_error = ""
    node.attempt = newest.number
    for name in ("run_id", "status", "started_at", "closed_at", "error_type", "error_message"):
        setattr(node, name, getattr(newest, name))
    if node.kind == NodeKind.ROOT:
        change.batch.closed_at = newest.closed_at


def _reset_failed_items(batch: Batch, nodes: Sequence[Node], *, except_run: str = "") -> None:
    """Put the failed items of children that run again back to pending; their last error stays until the next one."""
    failed = Item.objects.filter(batch=batch, child__in=[node.position for node in nodes], status=Status.FAILED)
    failed.exclude(run_id=except_run).update(status=Status.PENDING)
    left = dict(failed.values_list("child").annotate(Count("pk"))) if except_run else {}
    for node in nodes:
        node.items_failed = left.get(node.position, 0)


def requeue(batch_id: str, children: Mapping[int, int]) -> None:
    """Show that a retry of children was accepted: {position: attempt that was seen to have closed}.

    Those that went on meanwhile are left alone. Their partitions and root are shown as asked to run again too.
    """
    with _change(batch_id) as change:
        for positions in _slices(list(children)):
            nodes = Node.objects.filter(batch=change.batch, kind=NodeKind.CHILD, position__in=positions)
            closed = [
                node
                for node in nodes.annotate(runs=Count("attempts"))
                if Status(node.status).is_retryable and node.attempt == children[node.position]
            ]
            _requeue_nodes(change, closed)
            _reset_failed_items(change.batch, closed)
        parents = {node.parent_id for node in change.nodes.values()}
        above = Node.objects.filter(batch=change.batch, pk__in=parents | {change.root.pk} if parents else ())
        was_closed = not change.batch.is_open
        _requeue_nodes(change, [node for node in above.annotate(runs=Count("attempts")) if Status(node.status).is_outcome])
        if was_closed and parents:
            change.batch.opened_at = timezone.now()
            change.batch.done_at_open = closed_children(change.batch) - len(children)
            change.batch.paused = False


def _requeue_nodes(change: _Change, nodes: Sequence[Any]) -> None:
    change.take(nodes)
    for node in nodes:
        asked = change.nodes[node.pk]
        asked.attempt = node.runs + 1
        asked.status = Status.PENDING
        asked.started_at = asked.closed_at = None
        asked.error_type = asked.error_message = ""


def settle(batch_id: str) -> None:
    """Skip what is still pending below a root that has closed: nothing will start it."""
    with _change(batch_id) as change:
        if Status(change.root.status).is_outcome:
            _skip_pending(change)


def discard(batch_id: str) -> bool:
    """Cancel a batch whose root was never started; return whether it was still so."""
    with _change(batch_id) as change:
        if change.root.status != Status.PENDING or change.root.attempt:
            return False
        change.take([change.root])
        change.root.status = Status.CANCELED
        change.root.closed_at = change.batch.closed_at = timezone.now()
        change.batch.start_error = ""
        _skip_pending(change)
    return True


def note_start_error(batch_id: str, error: str) -> None:
    """Say on a pending batch why it has not started yet."""
    with _change(batch_id) as change:
        change.batch.start_error = error


def _skip_pending(change: _Change) -> None:
    """Skip all pending nodes in bulk: there may be 100,000."""
    revision, now = change.batch.revision, timezone.now()
    changed = [node for node in change.nodes.values() if node.status == Status.PENDING and node.pk != change.root.pk]
    for node in changed:
        node.status, node.closed_at = Status.SKIPPED, now
    pending = Node.objects.filter(batch=change.batch, status=Status.PENDING).exclude(pk__in=[n.pk for n in changed])
    sums = pending.filter(kind=NodeKind.CHILD).values("parent").annotate(
        children=Count("pk"), left=Sum(F("length") - F("items_completed") - F("items_failed"))
    )
    for row in list(sums.order_by()):
        move = Counter(
            children_pending=-row["children"],
            children_skipped=row["children"],
            items_pending=-row["left"],
            items_skipped=row["left"],
        )
        add(change.batch, move)
        if row["parent"] != change.root.pk:
            _add_to_partition(row["parent"], move, revision)
    runs = Attempt.objects.filter(node=OuterRef("pk")).order_by().values("node").annotate(number=Count("pk"))
    started = Coalesce(Subquery(runs.values("number")), 0)
    pending.update(status=Status.SKIPPED, attempt=started, closed_at=now, revision=revision)


def _add_to_partition(partition: int, change: Mapping[str, int], revision: int) -> None:
    columns = {column: F(column) + number for column, number in change.items() if number}
    Node.objects.filter(pk=partition).update(revision=revision, **columns)


@contextmanager
def counting_items(batch_id: str) -> Iterator[dict[int, Counter[str]]]:
    """Lock a batch while `store` writes items of it, and add what it says has moved to the tallies.

    Yields {position of the child: {"items_completed": n, "items_failed": n}}, to be filled.
    """
    with _change(batch_id) as change:
        moved = defaultdict[int, Counter[str]](Counter)
        yield moved
        for positions in _slices(list(moved)):
            change.take(Node.objects.filter(batch=change.batch, kind=NodeKind.CHILD, position__in=positions))
        for node in change.nodes.values():
            add(node, moved[node.position])


def update_rows(model: type[models.Model], rows: Iterable[models.Model], names: Sequence[str]) -> None:
    """Update columns of many rows, each with its own values, in one executemany: bulk_update is many times slower."""
    rows = list(rows)
    if not rows:
        return
    fields = [model._meta.get_field(name) for name in names]
    quote = connection.ops.quote_name
    columns = ", ".join(f"{quote(f.column)} = %s" for f in fields)
    sql = f"UPDATE {quote(model._meta.db_table)} SET {columns} WHERE {quote('id')} = %s"  # noqa: S608  our own names
    values = [[*(f.get_db_prep_save(getattr(row, f.attname), connection) for f in fields), row.pk] for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(sql, values)


def _slices(positions: Sequence[int], size: int = 500) -> Iterator[Sequence[int]]:
    """Yield slices that fit into one IN clause."""
    for first in range(0, len(positions), size):
        yield positions[first : first + size]
