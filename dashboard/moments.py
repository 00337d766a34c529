"""What tree events say beside starts and ends: nodes not known at launch, what nodes wait for, the time line, holds.

Called by `projection` within its transaction.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from dashboard.ledger import Ledger
from dashboard.models import Hold, Moment, Node
from dashboard.storable import text
from dashboard.tallies import contribution
from orchestration.contracts import EventKind, NodeKind, Place, Status, TreeEvent

log = logging.getLogger(__name__)

WORDS = (EventKind.WAITING, EventKind.SKIPPED, EventKind.NOTE)

SEPARATORS = "/-_:."
"""What people put between a parent's workflow id and what its child adds."""

SKIPPABLE = (Status.PENDING, Status.FAILED, Status.TIMED_OUT, Status.TERMINATED)

MOMENTS = frozenset(EventKind) - {EventKind.STARTED, EventKind.CLOSED, EventKind.WINDOW, *WORDS}
"""What the time line shows; starts and ends are the nodes' own, and a window is the batch's."""

HOLDS: dict[EventKind, str] = {
    EventKind.HELD: Hold.FAILURES,
    EventKind.RELEASED: "",
    EventKind.GATE_OPENED: Hold.GATE,
    EventKind.GATE_DECIDED: "",
}
"""What a batch is held for after a moment; nothing once it is decided."""


def make_places(ledger: Ledger, events: Sequence[TreeEvent]) -> None:
    """Make the nodes that were not known at launch. Those whose parent is unknown are dropped with a warning."""
    wanted = {event.workflow_id: event.place for event in events if event.place is not None}
    known = Node.objects.filter(batch=ledger.batch, workflow_id__in=wanted)
    for workflow_id in known.values_list("workflow_id", flat=True):
        del wanted[workflow_id]
    above = Node.objects.filter(batch=ledger.batch, workflow_id__in={place.parent for place in wanted.values()})
    parents = {node.workflow_id: node for node in above}
    while ready := {name: place for name, place in wanted.items() if place.parent in parents}:
        children = {place.parent for place in ready.values() if place.kind is NodeKind.CHILD}
        _make_parents(ledger, [parents[name] for name in children if parents[name].kind == NodeKind.CHILD])
        made = [_node(ledger, parents[place.parent].pk, name, place) for name, place in ready.items()]
        _count(ledger, [(node, ready[node.workflow_id].parent) for node in made if node.kind == NodeKind.CHILD])
        parents |= {node.workflow_id: node for node in Node.objects.bulk_create(made)}
        wanted = {name: place for name, place in wanted.items() if name not in ready}
    for name, place in wanted.items():
        log.warning("Dropped events of %s: its parent %s is unknown.", name, place.parent)


def _make_parents(ledger: Ledger, nodes: Sequence[Node]) -> None:
    """Have what was taken for a leaf be a parent: a workflow below it has been seen."""
    for node in nodes:
        ledger.move(node.parent_id, Counter({column: -number for column, number in contribution(node).items()}))
        node.kind = NodeKind.PARENT
    ledger.batch.child_count -= len(nodes)
    Node.objects.filter(pk__in=[node.pk for node in nodes]).update(kind=NodeKind.PARENT, revision=ledger.revision)


def _count(ledger: Ledger, children: Sequence[tuple[Node, str]]) -> None:
    """Number children that were not known at launch, and add them to the tallies above.

    Each has its workflow id for a key, without its parent's where it begins with that.
    """
    first = Node.objects.filter(batch=ledger.batch, kind__in=(NodeKind.CHILD, NodeKind.PARENT)).count()
    for position, (node, parent) in enumerate(children, start=first):
        key = node.workflow_id.removeprefix(parent).lstrip(SEPARATORS) or node.workflow_id
        node.position, node.key_first, node.key_last = position, key[:200], key[:200]
        ledger.move(node.parent_id, contribution(node))
    ledger.batch.child_count += len(children)


def _node(ledger: Ledger, parent: int, workflow_id: str, place: Place) -> Node:
    return Node(
        batch=ledger.batch,
        parent_id=parent,
        kind=place.kind,
        position=place.position,
        workflow_id=workflow_id,
        is_workflow=place.is_workflow,
        label=text(place.label)[:200],
        offset=place.offset,
        length=place.length,
        revision=ledger.revision,
    )


def _at(event: TreeEvent) -> datetime:
    return event.at


def apply_words(ledger: Ledger, events: Sequence[TreeEvent]) -> None:
    """Show what nodes wait for or are doing, and those that will not run."""
    words = {event.workflow_id: event for event in sorted(events, key=_at) if event.kind in WORDS}
    if not words:
        return
    for node in ledger.take(Node.objects.filter(batch=ledger.batch, workflow_id__in=words)):
        event = words[node.workflow_id]
        if event.kind is EventKind.SKIPPED and node.status in SKIPPABLE:
            node.status, node.note = Status.SKIPPED, ""
            if event.failure is not None and not node.error_type:
                node.error_type, node.error_message = event.failure.type, text(event.failure.message)
        elif node.noted_at is not None and event.at < node.noted_at:
            continue  # a later one has come before it
        elif node.status == Status.PENDING or (event.kind is EventKind.NOTE and node.status == Status.RUNNING):
            node.note, node.noted_at = text(event.note), event.at


def note_moments(ledger: Ledger, events: Sequence[TreeEvent]) -> None:
    """Keep what belongs on the time line, and show whether the batch is held."""
    moments = [event for event in events if event.kind in MOMENTS]
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
