"""Nodes that were not known at launch, created from the events that name them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from dashboard.database.sanitising import text
from dashboard.models import Node
from dashboard.models.tallies import contribution
from dashboard.projection.ledger import Ledger
from orchestration.contracts.events import NodeKind, Place, TreeEvent

log = logging.getLogger(__name__)

SEPARATORS = "/-_:."
"""Separators between a parent's workflow id and the suffix that its child adds."""


def create_discovered_nodes(ledger: Ledger, events: Sequence[TreeEvent]) -> None:
    """Create the nodes that were not known at launch. Those whose parent is unknown are dropped with a warning."""
    wanted = {event.workflow_id: event.place for event in events if event.place is not None}
    known = Node.objects.filter(batch=ledger.batch, workflow_id__in=wanted)
    for workflow_id in known.values_list("workflow_id", flat=True):
        del wanted[workflow_id]
    above = Node.objects.filter(batch=ledger.batch, workflow_id__in={place.parent for place in wanted.values()})
    parents = {node.workflow_id: node for node in above}
    if any(place.parent in parents for place in wanted.values()):
        ledger.mark_changed()
    while ready := {name: place for name, place in wanted.items() if place.parent in parents}:
        children = {place.parent for place in ready.values() if place.kind is NodeKind.CHILD}
        _promote_to_parents(ledger, [parents[name] for name in children if parents[name].kind == NodeKind.CHILD])
        made = [_node(ledger, parents[place.parent].pk, name, place) for name, place in ready.items()]
        _number_children(
            ledger, [(node, ready[node.workflow_id].parent) for node in made if node.kind == NodeKind.CHILD]
        )
        parents |= {node.workflow_id: node for node in Node.objects.bulk_create(made)}
        wanted = {name: place for name, place in wanted.items() if name not in ready}
    for name, place in wanted.items():
        log.warning("Dropped events of %s: its parent %s is unknown.", name, place.parent)


def _promote_to_parents(ledger: Ledger, nodes: Sequence[Node]) -> None:
    """Turn leaves into parents: a workflow below them was reported."""
    for node in nodes:
        ledger.add_to_tallies(
            node.parent_id, Counter({column: -number for column, number in contribution(node).items()})
        )
        node.kind = NodeKind.PARENT
    ledger.batch.child_count -= len(nodes)
    Node.objects.filter(pk__in=[node.pk for node in nodes]).update(kind=NodeKind.PARENT, revision=ledger.revision)


def _number_children(ledger: Ledger, children: Sequence[tuple[Node, str]]) -> None:
    """Give new children positions and keys, and add them to the tallies above.

    A child's key is its workflow id without the prefix that it shares with its parent's.
    """
    first = Node.objects.filter(batch=ledger.batch, kind__in=(NodeKind.CHILD, NodeKind.PARENT)).count()
    for position, (node, parent) in enumerate(children, start=first):
        key = node.workflow_id.removeprefix(parent).lstrip(SEPARATORS) or node.workflow_id
        node.position, node.key_first, node.key_last = position, key[:200], key[:200]
        ledger.add_to_tallies(node.parent_id, contribution(node))
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
