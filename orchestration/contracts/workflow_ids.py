"""Workflow ids: deterministic, from batch, stage, partition and child."""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

RESOURCE_NAME_LIMIT = 80
"""A longer name of a resource is hashed to make a workflow id."""

CANOPY_ID = re.compile(r"batch-[0-9a-f]{12}(/.*)?", re.DOTALL)
CONTINUED_ID = re.compile(r"batch-[0-9a-f]+((/s\d+)?/w\d+)?")


@dataclass(frozen=True)
class WorkflowTree:
    """A root and all that it has started: of the runs of its workflow id, those that began since a time (None: all)."""

    root: str
    since: datetime | None = None


def root_id(batch_id: str) -> str:
    """Return the workflow id of a batch's root."""
    return f"batch-{batch_id}"


def stage_id(batch_id: str, section: int) -> str:
    """Return the workflow id of a section of a pipeline: a stage, over some of its items."""
    return f"{root_id(batch_id)}/s{section}"


def section_number(workflow_id: str) -> int:
    """Return which section a stage is of, by its workflow id."""
    return int(workflow_id.rsplit("/s", 1)[1])


def pool_worker_id(parent: str, number: int) -> str:
    """Return the workflow id of a worker of a parent's pool."""
    return f"{parent}/w{number}"


def partition_id(batch_id: str, partition: int, section: int | None = None) -> str:
    """Return the workflow id of a partition of a batch, or of a section of one."""
    parent = root_id(batch_id) if section is None else stage_id(batch_id, section)
    return f"{parent}/p{partition}"


def child_id(batch_id: str, child: int, partition: int | None, section: int | None = None) -> str:
    """Return the workflow id of a child; `partition` is None below a parent without partitions."""
    if partition is not None:
        parent = partition_id(batch_id, partition, section)
    else:
        parent = root_id(batch_id) if section is None else stage_id(batch_id, section)
    return f"{parent}/c{child}"


def rollback_id(batch_id: str, child: int, partition: int | None, section: int | None = None) -> str:
    """Return the workflow id of what undoes a child."""
    return f"{child_id(batch_id, child, partition, section)}/rollback"


def is_canopy_id(workflow_id: str) -> bool:
    """Whether a workflow is a batch of Canopy's or below one, by its id: others call theirs batch-2026-11-21, too."""
    return CANOPY_ID.fullmatch(workflow_id) is not None


def may_continue_as_new(workflow_id: str) -> bool:
    """Whether a chain of runs with this id is one run that was continued: a root's, or a pool worker's."""
    return bool(CONTINUED_ID.fullmatch(workflow_id))


def resource_id(resource: str) -> str:
    """Return the workflow id of whichever child uses a resource: the same in all batches, so that only one can."""
    is_plain = len(resource) <= RESOURCE_NAME_LIMIT and resource.isprintable()
    return f"resource-{resource if is_plain else sha256(resource.encode()).hexdigest()}"


def entity_id(processor: str, entity: str) -> str:
    """Return the workflow id of an entity: the same in all batches of a processor."""
    is_plain = len(entity) <= RESOURCE_NAME_LIMIT and entity.isprintable()
    return f"entity-{processor}-{entity if is_plain else sha256(entity.encode()).hexdigest()}"
