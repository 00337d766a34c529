"""Workflow ids: deterministic, made of batch, section, partition and child."""

import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

RESOURCE_NAME_LIMIT = 80
"""Longer names of resources and entities are hashed in workflow ids."""

CANOPY_ID = re.compile(r"batch-[0-9a-f]{12}(/.*)?", re.DOTALL)
ROLLBACK_ID = re.compile(r"batch-[0-9a-f]{12}(?:/s\d+)?(?:/p\d+)?/c(\d+)/rollback")
CONTINUED_ID = re.compile(r"batch-[0-9a-f]+((/s\d+)?/w\d+)?")


@dataclass(frozen=True)
class WorkflowTree:
    """A root and all workflows below it; of its workflow id only the runs started since a time (None: all)."""

    root: str
    since: datetime | None = None


def root_id(batch_id: str) -> str:
    """Return the workflow id of a batch's root."""
    return f"batch-{batch_id}"


def batch_of(workflow_id: str) -> str:
    """Return the id of the batch whose workflow has an id; empty for one that is of no batch, or of several."""
    return workflow_id.partition("/")[0].removeprefix("batch-") if CANOPY_ID.fullmatch(workflow_id) else ""


def stage_id(batch_id: str, section: int) -> str:
    """Return the workflow id of a section."""
    return f"{root_id(batch_id)}/s{section}"


def section_number(workflow_id: str) -> int:
    """Return the number of a section from its workflow id."""
    return int(workflow_id.rsplit("/s", 1)[1])


def pool_worker_id(parent: str, number: int) -> str:
    """Return the workflow id of a worker in a parent's pool."""
    return f"{parent}/w{number}"


def partition_id(batch_id: str, partition: int, section: int | None = None) -> str:
    """Return the workflow id of a partition of a batch, or of one of its sections."""
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
    """Return the workflow id of a child's rollback."""
    return f"{child_id(batch_id, child, partition, section)}/rollback"


def undone_child(workflow_id: str) -> int | None:
    """Return the child that a rollback with this id undoes; None for any other id."""
    found = ROLLBACK_ID.fullmatch(workflow_id)
    return int(found[1]) if found else None


def is_canopy_id(workflow_id: str) -> bool:
    """Whether an id is that of a batch's root or of a workflow below one; external ids may start with batch-, too."""
    return CANOPY_ID.fullmatch(workflow_id) is not None


def may_continue_as_new(workflow_id: str) -> bool:
    """Whether the workflow continues as new, so that a chain of runs counts as one: a root or a pool worker."""
    return bool(CONTINUED_ID.fullmatch(workflow_id))


def resource_id(resource: str) -> str:
    """Return the workflow id of the child that uses a resource: the same in all batches, so that only one can run."""
    is_plain = len(resource) <= RESOURCE_NAME_LIMIT and resource.isprintable()
    return f"resource-{resource if is_plain else sha256(resource.encode()).hexdigest()}"


def entity_id(processor: str, entity: str) -> str:
    """Return the workflow id of an entity: the same in all batches of a processor."""
    is_plain = len(entity) <= RESOURCE_NAME_LIMIT and entity.isprintable()
    return f"entity-{processor}-{entity if is_plain else sha256(entity.encode()).hexdigest()}"
