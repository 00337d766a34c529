"""Plan: how a batch is fanned out, and the arithmetic of it. Pure; knows neither Temporal nor Django."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from orchestration.options import (
    CHILDREN,
    ApprovalOptions,
    ChildOptions,
    EndOptions,
    EntityOptions,
    Execution,
    FailureOptions,
    FailurePolicy,
    InputOptions,
    PaceOptions,
    Partitioning,
    ResourceOptions,
    group,
)
from orchestration.wording import _

MAX_FLAT_CHILDREN = 1_000
"""Above this, children are put below partitions. Temporal's guidance for children of one parent."""

PARTITION_SIZE = 500
"""Children of one partition."""

MAX_OPEN_PARTITIONS = 2
"""Partitions that share the window at one time: enough to hide a partition's start and end, and no more, for the fewer
children a parent has open, the more workflow tasks each of them costs."""

HISTORY_EVENTS_PER_CHILD = 5.5
"""Measured with coalesced notify: shared/FACTS."""

HISTORY_EVENTS_PER_PARTITION = 10
"""Measured with rebalancing of the window; a root adds about as many of its own."""

HISTORY_EVENT_LIMIT = 51_200
"""Temporal ends a run with more."""

MAX_PAGE_ITEMS = 100_000
"""Of an input that is read while it runs: a page is written in one transaction."""

MAX_POOL_WORKERS = 100

RESOURCE_NAME_LIMIT = 80
"""A longer name of a resource is hashed to make a workflow id."""

OURS = re.compile(r"batch-[0-9a-f]{12}(/.*)?", re.DOTALL)
CONTINUING = re.compile(r"batch-[0-9a-f]+((/s\d+)?/w\d+)?")

CHUNK_TIMEOUT_MARGIN = timedelta(minutes=1)


class Plan(
    EndOptions, EntityOptions, InputOptions, ApprovalOptions, ResourceOptions, ChildOptions, PaceOptions, FailureOptions
):
    """How a batch is fanned out. Durations are seconds. Titles and descriptions are what the launch form shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk_size: int = Field(
        default=1, ge=1, le=10_000, title="Chunk size", description="Items that one child processes."
    )
    window: int = Field(
        default=50, ge=1, le=1_000, title="Window", description="Children open at the same time, over the whole batch."
    )
    item_concurrency: int = Field(
        default=10, ge=1, le=500, title="Items at once", description="Items of one child processed at the same time."
    )
    item_attempts: int = Field(
        default=3, ge=1, le=50, title="Attempts per item", description="Before an item counts as failed."
    )
    item_backoff: float = Field(
        default=1.0,
        ge=0,
        le=3_600,
        title="Backoff",
        description="Seconds before the second attempt; doubles with each further one, up to 60 times.",
    )
    item_timeout: float = Field(
        default=60.0, gt=0, le=86_400, title="Timeout", description="Seconds that one attempt of an item may take."
    )
    task_queue: str = Field(
        default="canopy",
        min_length=1,
        max_length=200,
        title="Task queue",
        description="Which workers process the items.",
        json_schema_extra=group(CHILDREN),
    )

    @model_validator(mode="after")
    def _options_fit_together(self) -> Self:
        if self.resource_field and self.chunk_size != 1:
            raise ValueError("A resource needs a chunk size of 1: each child uses one resource.")
        if self.fire_and_forget and (self.failure_policy is not FailurePolicy.COLLECT or self.hold_at_end):
            raise ValueError("Fire and forget knows no failures: it needs the policy collect, and no hold.")
        if not self.has_child_workflows and (self.fire_and_forget or self.resource_field):
            raise ValueError("Without child workflows there is nothing to forget, and nothing that holds a resource.")
        if self.execution is Execution.ENTITIES and self.chunk_size != 1:
            raise ValueError("Operations on entities need a chunk size of 1: each item is one operation.")
        if self.execution is Execution.POOL and self.window > MAX_POOL_WORKERS:
            raise ValueError(f"A pool has at most {MAX_POOL_WORKERS} workers: choose a smaller window.")
        return self

    @model_validator(mode="after")
    def _pages_fit(self) -> Self:
        if not self.paged:
            return self
        if self.tolerated_percent is not None:
            raise ValueError("A share of an input of unknown length cannot be told: tolerate a number of failures.")
        if not self.may_partition or self.resource_field:
            raise ValueError("An input that is read while it runs needs partitions, children, and no resource.")
        if self.page_children % (self.group_size or 1):
            raise ValueError("A page has to hold whole groups: choose its children as a multiple of the group size.")
        if self.page_children * self.chunk_size > MAX_PAGE_ITEMS:
            raise ValueError(
                f"A page of {self.page_children:,} children of {self.chunk_size:,} items is too large to be read at "
                f"once: at most {MAX_PAGE_ITEMS:,} items."
            )
        return self

    @property
    def may_partition(self) -> bool:
        """Whether children may be put below partitions."""
        return self.partitions is Partitioning.AUTO and self.has_child_workflows

    @property
    def has_child_workflows(self) -> bool:
        """Whether each child is a workflow of its own."""
        return self.execution not in (Execution.NO_CHILDREN, Execution.POOL, Execution.ENTITIES)

    @property
    def open_partitions(self) -> int:
        """How many partitions share the window: one where a group or a breaker spans the whole batch."""
        return 1 if self.group_size or self.breaker_failures else MAX_OPEN_PARTITIONS

    def backoff(self, attempt: int) -> float:
        """Seconds to wait after failed attempt number `attempt` (from 1) of an item."""
        return float(self.item_backoff * min(2 ** (attempt - 1), 60))

    def failure_limit(self, children: int) -> int | None:
        """Return how many of `children` may fail before the parent stops, or None for any number."""
        if self.failure_policy is FailurePolicy.COLLECT:
            return None
        if self.failure_policy is FailurePolicy.FAIL_FAST:
            return 0
        if self.tolerated_failures is not None:
            return self.tolerated_failures
        return int(children * (self.tolerated_percent or 0) / 100)

    def chunk_timeout(self, length: int) -> timedelta:
        """Return the longest time that `length` items can take if every attempt of every item times out."""
        waits = sum(self.backoff(attempt) for attempt in range(1, self.item_attempts))
        one_item = self.item_attempts * self.item_timeout + waits
        rounds = ceil(length / self.item_concurrency)
        return timedelta(seconds=rounds * one_item) + CHUNK_TIMEOUT_MARGIN


@dataclass(frozen=True)
class Chunk:
    """A slice of the items."""

    offset: int
    length: int


@dataclass(frozen=True)
class Layout:
    """The tree that a plan makes of a number of items. Child and item indices run over the whole batch, from 0.

    A stage's begin at `first_child` and `first_item`. A `paged` input has a partition for each page, however few.
    """

    items: int
    chunk_size: int
    partition_size: int = PARTITION_SIZE
    may_partition: bool = True
    paged: bool = False
    first_child: int = 0
    first_item: int = 0

    @classmethod
    def of(cls, plan: Plan, items: int, *, first_child: int = 0, first_item: int = 0) -> Layout:
        """Lay out `items` items. Partitions hold whole groups, and are left out where the plan wants none."""
        size = plan.group_size or 1
        return cls(
            items=items,
            chunk_size=plan.chunk_size,
            partition_size=plan.page_children if plan.paged else max(size, PARTITION_SIZE // size * size),
            may_partition=plan.may_partition,
            paged=plan.paged,
            first_child=first_child,
            first_item=first_item,
        )

    @property
    def children(self) -> int:
        """Number of children."""
        return ceil(self.items / self.chunk_size)

    @property
    def child_range(self) -> range:
        """The child indices."""
        return range(self.first_child, self.first_child + self.children)

    @property
    def partitions(self) -> int:
        """Number of partitions; 0 when the root starts its children itself."""
        is_flat = not self.paged and (self.children <= MAX_FLAT_CHILDREN or not self.may_partition)
        return 0 if is_flat else ceil(self.children / self.partition_size)

    def chunk(self, child: int) -> Chunk:
        """Return the slice of a child."""
        offset = self.first_item + (child - self.first_child) * self.chunk_size
        return Chunk(offset, min(self.chunk_size, self.first_item + self.items - offset))

    def partition_of(self, child: int) -> int | None:
        """Return the partition that a child lies in, or None in a flat batch."""
        return (child - self.first_child) // self.partition_size if self.partitions else None

    def partition_range(self, partition: int) -> range:
        """Return the child indices of a partition."""
        first = self.first_child + partition * self.partition_size
        return range(first, min(first + self.partition_size, self.child_range.stop))

    def root_history(self) -> int:
        """Estimate the events in the root's history."""
        if self.partitions:
            return HISTORY_EVENTS_PER_PARTITION * (self.partitions + 1)
        return ceil(HISTORY_EVENTS_PER_CHILD * self.children) + HISTORY_EVENTS_PER_PARTITION

    def partition_history(self) -> int:
        """Estimate the events in a full partition's history; 0 in a flat batch."""
        if not self.partitions:
            return 0
        return ceil(HISTORY_EVENTS_PER_CHILD * self.partition_size) + HISTORY_EVENTS_PER_PARTITION


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


def is_ours(workflow_id: str) -> bool:
    """Whether a workflow is a batch of Canopy's or below one, by its id: others call theirs batch-2026-11-21, too."""
    return OURS.fullmatch(workflow_id) is not None


def may_continue_as_new(workflow_id: str) -> bool:
    """Whether a chain of runs with this id is one run that was continued: a root's, or a pool worker's."""
    return bool(CONTINUING.fullmatch(workflow_id))


def resource_id(resource: str) -> str:
    """Return the workflow id of whichever child uses a resource: the same in all batches, so that only one can."""
    is_plain = len(resource) <= RESOURCE_NAME_LIMIT and resource.isprintable()
    return f"resource-{resource if is_plain else sha256(resource.encode()).hexdigest()}"


def entity_id(processor: str, entity: str) -> str:
    """Return the workflow id of an entity: the same in all batches of a processor."""
    is_plain = len(entity) <= RESOURCE_NAME_LIMIT and entity.isprintable()
    return f"entity-{processor}-{entity if is_plain else sha256(entity.encode()).hexdigest()}"


def share_window(window: int, open_partitions: int) -> list[int]:
    """Divide the window over partitions: whole numbers that add up to it, each at least 1 if there is enough."""
    each, rest = divmod(window, open_partitions)
    return [each + (position < rest) for position in range(open_partitions)]


def problems(plan: Plan, items: int) -> dict[str, str]:
    """Return why a plan cannot work for this number of items: {field: reason}."""
    children = Layout.of(plan, items).children
    found = dict[str, str]()
    if children > MAX_FLAT_CHILDREN and not plan.may_partition:
        where = "partitions" if plan.has_child_workflows else "execution"
        found[where] = _(
            "%(children)s children directly below one parent: at most %(max_flat_children)s are safe. "
            "Choose a larger chunk size, or let there be partitions."
        ) % {"children": f"{children:,}", "max_flat_children": f"{MAX_FLAT_CHILDREN:,}"}
    return found


def warnings(plan: Plan, items: int) -> Sequence[str]:
    """Return one sentence for each choice in the plan that is unwise for this number of items."""
    layout = Layout.of(plan, items)
    found = []
    if items > 1_000 and plan.chunk_size == 1:
        found.append(
            _(
                "%(items)s children of one item each: a chunk size of %(items2)s is much faster, unless every item "
                "takes seconds."
            )
            % {"items": f"{items:,}", "items2": f"{min(100, ceil(items / 100)):,}"}
        )
    if plan.chunk_size > 1 and layout.children < min(plan.window, 4) and items >= 4:
        found.append(
            _("Only %(children)s children: a smaller chunk size lets more workers help.")
            % {"children": layout.children}
        )
    if plan.window > 200:
        found.append(
            _("A window of %(window)s is rarely faster than 200 and makes pausing and canceling slower.")
            % {"window": plan.window}
        )
    if plan.window == 1 and layout.children > 1:
        found.append(_("A window of 1 runs the children one after another."))
    if plan.chunk_timeout(plan.chunk_size) > timedelta(days=1):
        found.append(_("With these attempts and timeouts one child may take more than a day."))
    if plan.failure_policy is FailurePolicy.TOLERATE and plan.failure_limit(layout.children) == 0:
        found.append(_("This tolerance rounds down to no failure at all: the batch stops at the first."))
    return found
