"""Places of workflows that no event has reported, told by what Temporal says of them, and by the rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dashboard.models import Node
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.events import NodeKind, Place
from orchestration.contracts.names import (
    CHUNK_WORKFLOW,
    DELEGATE_WORKFLOW,
    FAN_OUT_WORKFLOW,
    ITEM_SAGA_WORKFLOW,
    POOL_WORKER_WORKFLOW,
)
from orchestration.contracts.workflow_ids import is_canopy_id, undone_child

PLANNED = (FAN_OUT_WORKFLOW, CHUNK_WORKFLOW, ITEM_SAGA_WORKFLOW, DELEGATE_WORKFLOW)
"""Types of stages, partitions, children and rollbacks."""

PLANNED_NAME = re.compile(r"[spc]\d+|rollback")
"""Last part of their ids. They have rows before they start, but for rollbacks."""


def places_of(batch_id: str, runs: Sequence[WorkflowRun]) -> dict[str, Place]:
    """Return the places of runs by run id, of rollbacks too: below the child that they undo, which has a row."""
    undone = {run.run_id: child for run in runs if (child := _undone_by(run)) is not None}
    children = Node.objects.filter(batch=batch_id, kind=NodeKind.CHILD, position__in=set(undone.values()))
    rows = {node.position: node for node in (children if undone else ())}
    found = {run.run_id: place for run in runs if (place := place_of(run)) is not None}
    for run_id, child in undone.items():
        if (row := rows.get(child)) is not None:
            place = Place(row.workflow_id, NodeKind.ROLLBACK, "rollback", child, row.offset, row.length)
            found[run_id] = place
    return found


def place_of(run: WorkflowRun) -> Place | None:
    """Return the place of a workflow below its parent; None for a root, and for what is planned.

    It counts only where the node is not known yet.
    """
    if not run.parent:
        return None
    if is_canopy_id(run.workflow_id):
        return _own_place(run)
    return Place(run.parent, NodeKind.STEP if is_canopy_id(run.root) else NodeKind.CHILD, run.workflow_type)


def _own_place(run: WorkflowRun) -> Place | None:
    name = run.workflow_id.removeprefix(f"{run.parent}/")
    if run.workflow_type == POOL_WORKER_WORKFLOW:
        number = int(name.removeprefix("w"))
        return Place(run.parent, NodeKind.POOL_WORKER, str(number + 1), number)
    if run.workflow_type in PLANNED and PLANNED_NAME.fullmatch(name.rpartition("/")[2]):
        return None
    if "/" in run.parent:
        return Place(run.parent, NodeKind.STEP, run.workflow_type, 1)
    return Place(run.parent, NodeKind.SERVICE, name)


def _undone_by(run: WorkflowRun) -> int | None:
    return undone_child(run.workflow_id) if run.workflow_type == CHUNK_WORKFLOW else None
