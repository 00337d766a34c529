"""What tree events report besides starts and closes: nodes' notes, the time line, holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dashboard.database.sanitising import text
from dashboard.models import Hold, Moment, Node
from dashboard.projection.ledger import Ledger
from orchestration.contracts.events import EventKind, TreeEvent
from orchestration.contracts.status import Status

NOTE_KINDS = (EventKind.WAITING, EventKind.SKIPPED, EventKind.NOTE)
SKIPPABLE = (Status.PENDING, Status.FAILED, Status.TIMED_OUT, Status.TERMINATED)

_RUN_KINDS = {EventKind.STARTED, EventKind.CLOSED, EventKind.REOPENED}
TIMELINE_KINDS = frozenset(EventKind) - {EventKind.WINDOW, *_RUN_KINDS, *NOTE_KINDS}
"""Kinds that the time line shows. What becomes of runs is stored with the nodes, a window with the batch."""

HOLDS: dict[EventKind, str] = {
    EventKind.HELD: Hold.FAILURES,
    EventKind.RELEASED: "",
    EventKind.GATE_OPENED: Hold.APPROVAL,
    EventKind.GATE_DECIDED: "",
}
"""What a batch is held for after an event; empty once that is decided."""


def _at(event: TreeEvent) -> datetime:
    return event.at


def apply_notes(ledger: Ledger, events: Sequence[TreeEvent]) -> None:
    """Set the notes of nodes that wait or run, and the status of those that are skipped."""
    notes = {event.workflow_id: event for event in sorted(events, key=_at) if event.kind in NOTE_KINDS}
    if not notes:
        return
    for node in ledger.track(Node.objects.filter(batch=ledger.batch, workflow_id__in=notes)):
        event = notes[node.workflow_id]
        if event.kind is EventKind.SKIPPED and node.status in SKIPPABLE:
            node.status, node.note = Status.SKIPPED, ""
            if event.failure is not None and not node.error_type:
                node.error_type, node.error_message = event.failure.type, text(event.failure.message)
        elif node.noted_at is not None and event.at < node.noted_at:
            continue  # a later event arrived before it
        elif node.status == Status.PENDING or (event.kind is EventKind.NOTE and node.status == Status.RUNNING):
            node.note, node.noted_at = text(event.note), event.at


def record_timeline(ledger: Ledger, events: Sequence[TreeEvent]) -> None:
    """Store the events that the time line shows, and whether the batch is held."""
    moments = [event for event in events if event.kind in TIMELINE_KINDS]
    made = [
        Moment(
            batch=ledger.batch,
            kind=event.kind,
            workflow_id=event.workflow_id,
            at=event.at,
            note=text(event.note),
            until=event.until,
        )
        for event in moments
    ]
    Moment.objects.bulk_create(made, ignore_conflicts=True)
    batch = ledger.batch
    if moments:
        batch.moment_count = Moment.objects.filter(batch=batch).count()
    for event in moments:
        if event.kind in HOLDS and (batch.held_at is None or event.at >= batch.held_at):
            batch.held_kind, batch.held_at = HOLDS[event.kind], event.at
            is_held = bool(batch.held_kind)
            batch.held_reason, batch.held_until = (text(event.note), event.until) if is_held else ("", None)
