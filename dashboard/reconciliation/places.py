"""Places of workflows that no event has reported, told by what Temporal says of them."""

from __future__ import annotations

import re

from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.events import NodeKind, Place
from orchestration.contracts.names import POOL_WORKER_WORKFLOW, SERVICE_WORKFLOW
from orchestration.contracts.workflow_ids import is_canopy_id

PLANNED = re.compile(r"[spc]\d+|rollback")
"""Last part of the ids of stages, partitions, children and rollbacks, which are not told by Temporal alone."""


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
    if run.workflow_type != SERVICE_WORKFLOW and PLANNED.fullmatch(name.rpartition("/")[2]):
        return None
    if "/" in run.parent:
        return Place(run.parent, NodeKind.STEP, run.workflow_type, 1)
    return Place(run.parent, NodeKind.SERVICE, name)
