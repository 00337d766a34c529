"""Which workflows an item may be delegated to: none of Canopy's own, and where the installation lists some, only those.

CANOPY_WORKFLOW_TYPES and CANOPY_WORKFLOW_QUEUES are such lists, separated by commas, for the web process and workers.
"""

from __future__ import annotations

import os
import re

from orchestration.contracts.names import CHILD_TASK_QUEUE, DASHBOARD_TASK_QUEUE, OWN_WORKFLOWS, SCHEDULE_TASK_QUEUE
from orchestration.contracts.workflow_ids import is_canopy_id

TYPES, QUEUES = "CANOPY_WORKFLOW_TYPES", "CANOPY_WORKFLOW_QUEUES"

OWN_QUEUES = (CHILD_TASK_QUEUE, DASHBOARD_TASK_QUEUE, SCHEDULE_TASK_QUEUE)

OF_TEMPORAL = re.compile(r"temporal-sys-|/_sys/|__temporal_")
"""How Temporal's own types begin, and the partitions of queues, which belong to the queue in their middle."""

OWN_IDS = re.compile(r"(entity|resource|notification|schedule)-")
"""How ids begin that Canopy shares over all batches: whoever had one would be sent what is meant for Canopy's."""


def type_problem(workflow_type: str) -> str:
    """Return why no workflow of a type may be started, as a sentence; empty if it may."""
    if workflow_type.strip() in OWN_WORKFLOWS or OF_TEMPORAL.match(workflow_type.strip()):
        return f"{workflow_type!r} is a workflow type of Canopy or Temporal themselves: launch a batch instead."
    return _unlisted(TYPES, workflow_type, "workflow type")


def queue_problem(task_queue: str) -> str:
    """Return why no workflow may be started on a task queue, as a sentence; empty if it may."""
    if task_queue.strip() in OWN_QUEUES or OF_TEMPORAL.match(task_queue.strip()):
        return f"{task_queue!r} is a task queue of Canopy or Temporal themselves."
    return _unlisted(QUEUES, task_queue, "task queue")


def id_problem(workflow_id: str) -> str:
    """Return why no workflow may have an id, as a sentence; empty if it may."""
    if is_canopy_id(workflow_id) or OWN_IDS.match(workflow_id):
        return f"{workflow_id!r} begins as Canopy's own workflow ids do: choose another one."
    return ""


def _unlisted(variable: str, name: str, what: str) -> str:
    listed = [each.strip() for each in os.environ.get(variable, "").split(",") if each.strip()]
    if not listed or name in listed:
        return ""
    return f"The {what} {name!r} is not among those that this installation allows ({variable})."
