"""Checks of the workflows that services start: which types, on which task queues."""

from __future__ import annotations

from orchestration.contracts.names import CHILD_TASK_QUEUE, SERVICE_WORKFLOW
from orchestration.definitions.checks import ErrorList, parts_of
from orchestration.definitions.source_tree import Tree
from orchestration.processors.delegation_policy import queue_problem, type_problem


def check_targets(root: Tree, kind: str, errors: ErrorList) -> None:
    """Check that services of a type of their own are none of Canopy's, and are allowed by the installation."""
    for place in parts_of(root, kind) if kind == "services" else []:
        workflow_type = place.tree.text("workflow_type")
        if workflow_type is None or workflow_type == SERVICE_WORKFLOW:
            continue
        queue = place.tree.text("task_queue") or CHILD_TASK_QUEUE
        for key, problem in (("workflow_type", type_problem(workflow_type)), ("task_queue", queue_problem(queue))):
            if problem:
                errors.add(place.tree.keys.get(key, place.tree.mark), f"{place.path}.{key}", problem)
