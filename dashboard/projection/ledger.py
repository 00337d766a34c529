"""Ledger: one transaction on a batch's tree, which adds the changes of its nodes to the tallies above them.

It writes at the batch's next revision. One that changes nothing takes no revision, so that viewers are sent nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from django.db import connection, transaction
from django.utils import timezone

from dashboard.database import fencing
from dashboard.database.bulk import update_rows
from dashboard.metrics import definitions as metrics
from dashboard.models import HALTED, OPEN_BATCH_STATUSES, PARENT_KINDS, Batch, BatchStatus, Node
from dashboard.models.halts import with_turn
from dashboard.models.tallies import apply_change, batch_status, contribution, done
from dashboard.notifications.triggers import NotificationState, write_notifications
from dashboard.projection.lost_results import compare_results
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from orchestration.errors.signatures import signature_of
from orchestration.throughput import add_sample

NODE_STATE = (
    "status",
    "attempt",
    "run_id",
    "started_at",
    "closed_at",
    "duration",
    "error_type",
    "error_message",
    "note",
    "noted_at",
)
CHILD_ITEMS = ("items_completed", "items_failed")
TALLY_COLUMNS = tuple(f"{what}_{status.value}" for what in ("children", "items") for status in Status)
BATCH_STATE = (
    "status",
    "root_status",
    "item_count",
    "child_count",
    "partition_count",
    "reading",
    "paused",
    "steered_at",
    "window",
    "window_at",
    "opened_at",
    "closed_at",
    "done_at_open",
    "held_kind",
    "held_reason",
    "held_until",
    "held_at",
    "halts",
    "unattended",
    "blocked",
    "blocked_since",
    "moment_count",
    "start_error",
    "unrecorded",
    "lost_at",
)
"""Columns that count as a change of the batch. `samples` does not: only time has passed."""


@dataclass
class _Snapshot:
    """A node as it was when the ledger began to track it."""

    node: Node
    state: tuple[Any, ...]
    contribution: Counter[str]

    @classmethod
    def of(cls, node: Node) -> Self:
        return cls(node, _state(node), contribution(node))


@dataclass
class Ledger:
    """A batch whose row is locked, its root, and the nodes tracked so far. Change them; the ledger writes."""

    batch: Batch
    root: Node
    revision: int
    at: datetime
    _before: tuple[Any, ...]
    _seen: NotificationState
    _done: int
    _tracked: dict[int, _Snapshot] = field(default_factory=dict)
    _above: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _is_changed: bool = False

    def track(self, nodes: Iterable[Node]) -> list[Node]:
        """Track nodes before they are changed; return those to change, which are the tracked ones if there are any."""
        return [self._tracked.setdefault(node.pk, _Snapshot.of(node)).node for node in nodes]

    def mark_changed(self) -> None:
        """Take the revision: nodes that are not tracked were written with it."""
        self._is_changed = True

    def add_to_tallies(self, parent: int | None, change: Mapping[str, int]) -> None:
        """Add a change to the tallies of a partition or stage and all above it, or of the batch alone."""
        if not any(change.values()):
            return
        self._is_changed = True
        apply_change(self.batch, change)
        if parent is not None and parent != self.root.pk:
            self._above[parent].update(change)

    def extend(self, *, partitions: int, children: int, items: int) -> None:
        """Add nodes and items that were written below the root after the launch."""
        batch = self.batch
        batch.partition_count += partitions
        batch.child_count += children
        batch.item_count += items
        Node.objects.filter(pk=self.root.pk).update(length=batch.item_count, revision=self.revision)
        self.mark_changed()
        self.add_to_tallies(None, {"children_pending": children, "items_pending": items})

    def flush(self) -> None:
        """Write the nodes tracked so far, and track only the root from now on."""
        changed = list[Node]()
        for snapshot in self._tracked.values():
            snapshot.node.duration = _duration(snapshot.node)
            compare_results(self.batch, snapshot.node)
            if _state(snapshot.node) != snapshot.state:
                snapshot.node.revision = self.revision
                changed.append(snapshot.node)
                moved = contribution(snapshot.node)
                moved.subtract(snapshot.contribution)
                self.add_to_tallies(snapshot.node.parent_id, moved)
        self._is_changed |= bool(changed)
        children = [node for node in changed if node.kind == NodeKind.CHILD]
        for node in children:
            if node.error_type and node.status != Status.SKIPPED:
                node.signature = None if node.items_failed else signature_of(node.error_type, node.error_message)
        update_rows(Node, children, (*NODE_STATE, *CHILD_ITEMS, "signature", "revision"))
        update_rows(Node, [node for node in changed if node.kind != NodeKind.CHILD], (*NODE_STATE, "revision"))
        self._tracked = {self.root.pk: _Snapshot.of(self.root)}

    def close(self) -> None:
        """Write the rest: nodes, the tallies of parents, and the batch with its status."""
        self.flush()
        self._write_parents()
        batch = self.batch
        if done(batch) > self._done or Status(self.root.status).is_outcome:
            batch.unattended = False
        status = batch_status(batch, self.root)
        if (is_halted := status in HALTED) != (batch.status in HALTED):
            turned_at = max((at for at in (batch.steered_at, batch.held_at) if at is not None), default=self.at)
            batch.halts = with_turn(batch.halts, turned_at, is_halted=is_halted)
            batch.samples = [] if is_halted else batch.samples[-1:]
        if status != batch.status:
            self._take_along(status)
            if batch.is_open and status not in OPEN_BATCH_STATUSES:
                transaction.on_commit(metrics.batches_finished.labels(status.value).inc)
        batch.status, batch.root_status = status, self.root.status
        batch.closed_at = None if batch.is_open else self.root.closed_at
        if not batch.is_open:
            batch.blocked, batch.blocked_since = {}, None
        if self._is_changed or _batch_state(batch) != self._before:
            batch.revision, batch.changed_at = self.revision, self.at
            batch.samples = add_sample(batch.samples, int(batch.changed_at.timestamp()), done(batch))
            batch.save(update_fields=["revision", "changed_at", "samples", *BATCH_STATE, *TALLY_COLUMNS])
            write_notifications(self._seen, batch, self.root)

    def _take_along(self, status: BatchStatus) -> None:
        """Have the nodes sent that show another status because their batch has."""
        turned = {status, self.batch.status}
        nodes = Node.objects.filter(batch=self.batch, status=Status.RUNNING)
        if BatchStatus.SCHEDULED in turned:
            nodes.update(revision=self.revision)
        elif turned & {*HALTED}:
            nodes.filter(kind__in=PARENT_KINDS).update(revision=self.revision)

    def _write_parents(self) -> None:
        level = dict(self._above)
        while level:
            up = defaultdict[int, Counter[str]](Counter)
            nodes = Node.objects.filter(pk__in=[*level], parent__kind__in=PARENT_KINDS)
            for pk, parent in nodes.values_list("pk", "parent"):
                up[parent or 0].update(level[pk])
            for pk, moved in up.items():
                self._above[pk].update(moved)
            level = dict(up)
        columns = sorted({column for moved in self._above.values() for column, number in moved.items() if number})
        if not columns:
            return
        quote = connection.ops.quote_name
        added = ", ".join(f"{quote(column)} = {quote(column)} + %s" for column in columns)
        rows = [[*(moved[column] for column in columns), self.revision, pk] for pk, moved in self._above.items()]
        table = quote(Node._meta.db_table)
        with connection.cursor() as cursor:
            cursor.executemany(f"UPDATE {table} SET {added}, revision = %s WHERE id = %s", rows)  # noqa: S608


@contextmanager
def open_ledger(batch_id: str, at: datetime | None = None) -> Iterator[Ledger]:
    """Lock a batch for one transaction, which changes it `at` a time, by default now. Raises Batch.DoesNotExist.

    On PostgreSQL the lock is the row's. On SQLite it is the database's, which BEGIN IMMEDIATE takes.
    """
    with transaction.atomic():
        batch = Batch.objects.select_for_update().get(pk=batch_id)
        root = Node.objects.get(batch=batch_id, kind=NodeKind.ROOT)
        at = timezone.now() if at is None else max(at, batch.changed_at)
        ledger = Ledger(
            batch, root, batch.revision + 1, at, _batch_state(batch), NotificationState.of(batch), done(batch)
        )
        ledger.track([root])
        yield ledger
        ledger.close()
        fencing.confirm()


def _duration(node: Node) -> float | None:
    if node.started_at is None or node.closed_at is None:
        return None
    return max(0.0, (node.closed_at - node.started_at).total_seconds())


def _state(node: Node) -> tuple[Any, ...]:
    return tuple(getattr(node, name) for name in (*NODE_STATE, *CHILD_ITEMS))


def _batch_state(batch: Batch) -> tuple[Any, ...]:
    return tuple(getattr(batch, name) for name in BATCH_STATE)


@contextmanager
def extending_batch(batch_id: str) -> Iterator[Ledger]:
    """Lock a batch while nodes and items are added to it. Raises LookupError if it is gone or was discarded."""
    try:
        with open_ledger(batch_id) as ledger:
            if ledger.batch.is_discarded:
                raise Batch.DoesNotExist
            yield ledger
    except Batch.DoesNotExist as error:
        raise LookupError(f"Batch {batch_id} does not exist.") from error
