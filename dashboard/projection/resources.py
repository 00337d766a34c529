"""Ids of rows of children that use resources: their parents may name them by position, their rows by resource."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from dashboard.models import Batch, Node
from orchestration.contracts.events import NodeKind, TreeEvent
from orchestration.contracts.workflow_ids import is_canopy_id

CHILD_POSITION = re.compile(r".*/c(\d+)", re.DOTALL)


def with_row_ids(batch: Batch, events: Sequence[TreeEvent]) -> list[TreeEvent]:
    """Return events with the ids that rows have. Those of a batch without resources are returned as they are."""
    if batch.watched_id or not batch.plan.resource_field:
        return list(events)
    named = {event.workflow_id for event in events} | {event.place.parent for event in events if event.place}
    positions = {name: position for name in named if (position := _position(name)) is not None}
    children = Node.objects.filter(batch=batch, kind=NodeKind.CHILD, position__in=positions.values())
    ids = dict(children.values_list("position", "workflow_id"))
    rows = {name: ids[position] for name, position in positions.items() if position in ids}
    return [_with_row_id(event, rows) for event in events]


def _position(workflow_id: str) -> int | None:
    found = CHILD_POSITION.fullmatch(workflow_id) if is_canopy_id(workflow_id) else None
    return int(found[1]) if found else None


def _with_row_id(event: TreeEvent, rows: dict[str, str]) -> TreeEvent:
    place = event.place
    if place is not None and place.parent in rows:
        place = replace(place, parent=rows[place.parent])
    return replace(event, workflow_id=rows.get(event.workflow_id, event.workflow_id), place=place)
