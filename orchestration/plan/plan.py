"""The plan: how a batch is fanned out, and the limits and timeouts that follow from it. Pure."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from orchestration.plan.approval_options import ApprovalOptions
from orchestration.plan.choices import Execution, FailurePolicy, Partitioning
from orchestration.plan.options import (
    ATTEMPTS,
    CHILDREN,
    FAILURES,
    SPEED,
    ChildOptions,
    EndOptions,
    FailureOptions,
    InputOptions,
    PaceOptions,
    duration,
    group,
)
from orchestration.plan.resource_options import EntityOptions, ResourceOptions

MAX_OPEN_PARTITIONS = 2
"""Partitions that share the window at a time. Two hide a partition's start and end. More would cost workflow tasks: a
parent with fewer open children needs more tasks for each of them."""

MAX_PAGE_ITEMS = 100_000
"""Of an input that is read page by page: a page is written in one transaction."""

MAX_POOL_WORKERS = 100
CHUNK_TIMEOUT_MARGIN = timedelta(minutes=1)
CHUNK_WAITING = timedelta(days=1)
"""For what items wait for: a thread, a slot, a rate limit, and what an error asks to wait before the next attempt."""


class Plan(
    EndOptions, EntityOptions, InputOptions, ApprovalOptions, ResourceOptions, ChildOptions, PaceOptions, FailureOptions
):
    """How a batch is fanned out. Durations are seconds. Titles and descriptions appear in the launch form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    chunk_size: int = Field(
        default=1,
        ge=1,
        le=10_000,
        title="Chunk size",
        description="Items per child.",
        json_schema_extra=group(SPEED),
    )
    window: int = Field(
        default=50,
        ge=1,
        le=1_000,
        title="Max concurrency",
        description="Children that run at the same time, across the whole batch.",
        json_schema_extra=group(SPEED),
    )
    item_concurrency: int = Field(
        default=10,
        ge=1,
        le=500,
        title="Concurrent items",
        description="Items that a child processes at the same time.",
        json_schema_extra=group(SPEED),
    )
    item_attempts: int = Field(
        default=3,
        ge=1,
        le=50,
        title="Attempts per item",
        description="Attempts before an item counts as failed.",
        json_schema_extra=group(FAILURES),
    )
    item_backoff: float = Field(
        default=1.0,
        ge=0,
        le=3_600,
        title="Backoff",
        description="Before the second attempt; doubles with each further attempt, up to 60 times this value.",
        json_schema_extra=duration(ATTEMPTS),
    )
    item_timeout: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        title="Timeout",
        description="How long one attempt of an item may take.",
        json_schema_extra=duration(ATTEMPTS),
    )
    task_queue: str = Field(
        default="canopy",
        min_length=1,
        max_length=200,
        title="Task queue",
        description="The workers that process the items.",
        json_schema_extra=group(CHILDREN),
    )

    @model_validator(mode="after")
    def _options_fit_together(self) -> Self:
        if self.resource_field and self.chunk_size != 1:
            raise ValueError("A resource requires a chunk size of 1: each child uses one resource.")
        if self.fire_and_forget and (self.failure_policy is not FailurePolicy.COLLECT or self.hold_at_end):
            raise ValueError("Fire and forget does not track failures: use the policy collect, without a hold.")
        if not self.has_child_workflows and (self.fire_and_forget or self.resource_field):
            raise ValueError("Fire and forget and resources require child workflows.")
        if self.execution is Execution.ENTITIES and self.chunk_size != 1:
            raise ValueError("Operations on entities require a chunk size of 1: each item is one operation.")
        if self.execution is Execution.POOL and self.window > MAX_POOL_WORKERS:
            raise ValueError(f"A pool has at most {MAX_POOL_WORKERS} workers: choose a smaller window.")
        return self

    @model_validator(mode="after")
    def _pages_fit(self) -> Self:
        if not self.paged:
            return self
        if self.tolerated_percent is not None:
            raise ValueError(
                "A failure rate cannot be computed for an input of unknown length: tolerate a number of "
                "failures instead."
            )
        if not self.may_partition or self.resource_field:
            raise ValueError(
                "An input that is read while the batch runs requires partitions and child workflows, and no resource."
            )
        if self.page_children % (self.group_size or 1):
            raise ValueError("A page must hold whole groups: make its number of children a multiple of the group size.")
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
        """Number of partitions that share the window: one where a group or a breaker spans the whole batch."""
        return 1 if self.group_size or self.breaker_failures else MAX_OPEN_PARTITIONS

    def backoff(self, attempt: int) -> float:
        """Return the seconds to wait after failed attempt number `attempt` (from 1) of an item."""
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

    def chunk_deadline(self, length: int) -> timedelta:
        """Return when Temporal gives up a chunk whose worker is alive: what its items wait for is not in their time."""
        return self.chunk_timeout(length) + CHUNK_WAITING
