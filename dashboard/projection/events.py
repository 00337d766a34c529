"""Tree events become rows: nodes, attempts, tallies and the time line of a batch.

`apply_events` is one transaction and idempotent: events may come twice, late, or out of order.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from dashboard.database.bulk import insert_rows, slices, update_rows
from dashboard.metrics import definitions as metrics
from dashboard.models import Attempt, Batch, Node
from dashboard.models.tallies import closed_children
from dashboard.projection.attempts import (
    ATTEMPT_STATE,
    Runs,
    is_reserved,
    record_events,
    runs_of,
    show_closing_note,
    show_newest,
)
from dashboard.projection.discovered_nodes import create_discovered_nodes
from dashboard.projection.item_counts import reset_failed_items
from dashboard.projection.ledger import Ledger, open_ledger
from dashboard.projection.notes import apply_notes, record_timeline
from dashboard.projection.resources import with_row_ids
from dashboard.projection.settlement import end_with_parents, skip_below_closed_root
from orchestration.contracts.events import EventKind, TreeEvent
from orchestration.contracts.status import Status

log = logging.getLogger(__name__)

RUN_EVENTS = (EventKind.STARTED, EventKind.CLOSED, EventKind.REOPENED)

ENDED_BY_FORCE = (Status.TERMINATED, Status.TIMED_OUT)
"""Outcomes that leave a workflow no time to report anything."""


def apply_events(batch_id: str, events: Sequence[TreeEvent]) -> None:
    """Project tree events. Those of batches or nodes that do not exist are dropped with a warning."""
    try:
        with open_ledger(batch_id) as ledger:
            if ledger.batch.is_discarded:
                log.warning("Dropped %s events of batch %s, which was discarded.", len(events), batch_id)
                return
            for some in slices(with_row_ids(ledger.batch, events)):
                create_discovered_nodes(ledger, some)
                _apply_runs(ledger, [event for event in some if event.kind in RUN_EVENTS])
                apply_notes(ledger, some)
                _apply_steering(ledger, some)
                record_timeline(ledger, some)
                ledger.flush()
            end_with_parents(ledger, _ended_by_force(ledger, events))
            if any(event.workflow_id == ledger.root.workflow_id for event in events):
                skip_below_closed_root(ledger)
        for kind, number in Counter(event.kind for event in events).items():
            metrics.events_projected.labels(kind.value).inc(number)
    except Batch.DoesNotExist:
        log.warning("Dropped %s events of batch %s, which does not exist.", len(events), batch_id)


def _ended_by_force(ledger: Ledger, events: Sequence[TreeEvent]) -> list[Node]:
    """Return the nodes of which events say that Temporal has ended them: nothing that they report can follow.

    Also the root where that has been ended and something below it is reported late.
    """
    ids = {event.workflow_id for event in events if event.outcome in ENDED_BY_FORCE}
    root = ledger.root
    if root.status in ENDED_BY_FORCE and any(event.kind is EventKind.STARTED for event in events):
        ids.add(root.workflow_id)
    nodes = Node.objects.filter(batch=ledger.batch, workflow_id__in=ids, status__in=ENDED_BY_FORCE)
    return list(nodes.filter(is_workflow=True)) if ids else []


def _apply_runs(ledger: Ledger, events: Sequence[TreeEvent]) -> None:
    by_workflow = defaultdict[str, list[TreeEvent]](list)
    for event in events:
        by_workflow[event.workflow_id].append(event)
    nodes = ledger.track(Node.objects.filter(batch=ledger.batch, workflow_id__in=by_workflow))
    runs = runs_of(nodes)
    rerun, changed = list[Node](), list[Attempt]()
    for node in nodes:
        before, its_events = node.run_id, by_workflow.pop(node.workflow_id)
        touched = record_events(node, runs[node.pk], its_events)
        changed += touched
        if node.pk == ledger.root.pk:
            _show_root(ledger, runs[node.pk], its_events)
        elif touched:
            show_newest(node, runs[node.pk])
            show_closing_note(node, its_events)
        if node.run_id != before and node.items_failed:
            rerun.append(node)
    update_rows(Attempt, [attempt for attempt in changed if attempt.pk is not None], ATTEMPT_STATE)
    insert_rows(Attempt, [attempt for attempt in changed if attempt.pk is None])
    reset_failed_items(ledger, rerun, [run for node in rerun for run in runs[node.pk] if run != node.run_id])
    for workflow_id in by_workflow:
        log.warning("Dropped events of %s, which is not in batch %s.", workflow_id, ledger.batch.pk)


def _show_root(ledger: Ledger, runs: Runs, events: Iterable[TreeEvent]) -> None:
    """Show the newest run at the root and its batch. A root that starts or closes is neither paused nor held."""
    batch, root = ledger.batch, ledger.root
    run_before, was_reserved = root.run_id, is_reserved(root)
    show_newest(root, runs)
    for event in events:
        if event.kind is not EventKind.REOPENED:
            _set_paused(batch, event.at, paused=False)
            _release(batch, event)
    if root.status != Status.PENDING:
        batch.opened_at = root.started_at or root.closed_at
    if root.run_id != run_before:
        batch.start_error, batch.unrecorded = "", 0
        if root.attempt > 1 and not was_reserved:
            batch.done_at_open = closed_children(batch)


def _release(batch: Batch, event: TreeEvent) -> None:
    """Record that a root that starts or closes holds no more, unless it has been held since."""
    is_newer = batch.held_at is None or event.at > batch.held_at
    if is_newer or (event.kind is EventKind.CLOSED and event.at == batch.held_at):
        batch.held_kind, batch.held_reason, batch.held_until, batch.held_at = "", "", None, event.at


def _apply_steering(ledger: Ledger, events: Iterable[TreeEvent]) -> None:
    batch = ledger.batch
    for event in events:
        if event.kind is EventKind.WINDOW and event.window and (batch.window_at is None or event.at >= batch.window_at):
            batch.window, batch.window_at = event.window, event.at
        elif event.kind in (EventKind.PAUSED, EventKind.RESUMED):
            _set_paused(batch, event.at, paused=event.kind is EventKind.PAUSED)


def _set_paused(batch: Batch, at: datetime, *, paused: bool) -> None:
    """Record a pause or resume, unless a newer one is known."""
    if batch.steered_at is None or at >= batch.steered_at:
        batch.paused, batch.steered_at = paused, at
