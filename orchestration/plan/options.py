"""Options of a plan beyond chunk size and window, a class for each concern. Pure.

Titles, descriptions and groups appear in the launch form. Durations are seconds.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from orchestration.plan.choices import (
    Cancellation,
    Execution,
    FailurePolicy,
    OnThreshold,
    ParentClose,
    Partitioning,
    WhileOpen,
)

DURATION: dict[str, Any] = {"unit": "seconds"}
"""Schema entry of a duration: the API takes seconds, and a form shows a number with its unit."""


def group(name: str) -> dict[str, Any]:
    """Return the schema entry that puts a field into a group of the launch form."""
    return {"group": name}


def duration(name: str) -> dict[str, Any]:
    """Return the schema entries of a duration in a group of the launch form."""
    return {"group": name, **DURATION}


SPEED, FAILURES, ATTEMPTS, BREAKER = "How fast", "On failure", "Attempts", "Circuit breaker"
PACE, CHILDREN, RESOURCES = "Pace", "Child options", "Resources"
APPROVAL, END, INPUT = "Approval", "At the end", "Input"


class FailureOptions(BaseModel):
    """What happens when children fail."""

    failure_policy: FailurePolicy = Field(
        default=FailurePolicy.COLLECT,
        title="When children fail",
        description="Collect: run everything and list the failures. Fail fast: stop at the first failure. Tolerate: "
        "stop above a limit.",
        json_schema_extra=group(FAILURES),
    )
    tolerated_failures: int | None = Field(
        default=None,
        ge=0,
        le=10_000_000,
        title="Tolerated failures",
        description="Children that may fail.",
        json_schema_extra=group(FAILURES),
    )
    tolerated_percent: float | None = Field(
        default=None,
        ge=0,
        le=100,
        title="Tolerated failure rate (%)",
        description="Percent of all children that may fail.",
        json_schema_extra=group(FAILURES),
    )
    on_threshold: OnThreshold = Field(
        default=OnThreshold.STOP,
        title="Above the limit",
        description="Stop; stop and roll back completed children; or hold for an operator.",
        json_schema_extra=group(FAILURES),
    )
    hold_at_end: bool = Field(
        default=False,
        title="Hold at the end",
        description="When children have failed, stay open until an operator retries, skips or finishes.",
        json_schema_extra=group(FAILURES),
    )
    hold_timeout: float = Field(
        default=86_400,
        gt=0,
        le=2_592_000,
        title="Hold timeout",
        description="How long a held batch waits for an operator before it finishes automatically.",
        json_schema_extra=duration(FAILURES),
    )
    breaker_failures: int | None = Field(
        default=None,
        ge=1,
        le=1_000,
        title="Consecutive failures",
        description="Failures in a row that open the circuit breaker; while it is open, no child starts.",
        json_schema_extra=group(BREAKER),
    )
    breaker_cooldown: float = Field(
        default=30,
        gt=0,
        le=86_400,
        title="Cool-down",
        description="How long until one child probes whether the fault is gone.",
        json_schema_extra=duration(BREAKER),
    )
    breaker_open: WhileOpen = Field(
        default=WhileOpen.WAIT,
        title="While it is open",
        description="Whether children wait or are skipped.",
        json_schema_extra=group(BREAKER),
    )

    @model_validator(mode="after")
    def _limits_fit_policy(self) -> Self:
        limits = [self.tolerated_failures, self.tolerated_percent]
        given = sum(limit is not None for limit in limits)
        if self.failure_policy is FailurePolicy.TOLERATE and given != 1:
            raise ValueError("Tolerate requires either a number of failures or a percentage.")
        if self.failure_policy is not FailurePolicy.TOLERATE and given:
            raise ValueError("A tolerated number or failure rate requires the policy tolerate.")
        if self.failure_policy is FailurePolicy.COLLECT and self.on_threshold is not OnThreshold.STOP:
            raise ValueError("Rolling back or holding above the limit requires the policy tolerate or fail fast.")
        return self


class PaceOptions(BaseModel):
    """How fast children are started, beside the window."""

    group_size: int | None = Field(
        default=None,
        ge=1,
        le=1_000,
        title="Group size",
        description="Children per group; all of them finish before the next group starts.",
        json_schema_extra=group(PACE),
    )
    group_delay: float = Field(
        default=0,
        ge=0,
        le=86_400,
        title="Pause between groups",
        description="Time between the end of one group and the start of the next.",
        json_schema_extra=duration(PACE),
    )
    partitions: Partitioning = Field(
        default=Partitioning.AUTO,
        title="Partitions",
        description="Adds parents between the root and the children above 1,000 children.",
        json_schema_extra=group(PACE),
    )

    @model_validator(mode="after")
    def _delay_has_groups(self) -> Self:
        if self.group_delay and self.group_size is None:
            raise ValueError("A pause between groups requires a group size.")
        return self


class ChildOptions(BaseModel):
    """How Temporal runs children."""

    execution: Execution = Field(
        default=Execution.CHUNK,
        title="Items run as",
        description="An activity per chunk; a (local) activity per item; activities of the parent, without children; "
        "chunks on a pool of long-lived workers, as many as the max concurrency; or operations on "
        "entities.",
        json_schema_extra=group(CHILDREN),
    )
    child_execution_timeout: float | None = Field(
        default=None,
        gt=0,
        le=31_536_000,
        title="Execution timeout",
        description="How long a child may take, across all its runs.",
        json_schema_extra=duration(CHILDREN),
    )
    child_run_timeout: float | None = Field(
        default=None,
        gt=0,
        le=31_536_000,
        title="Run timeout",
        description="How long one run of a child may take.",
        json_schema_extra=duration(CHILDREN),
    )
    child_task_timeout: float | None = Field(
        default=None,
        ge=1,
        le=120,
        title="Task timeout",
        description="How long a worker may take for one workflow task.",
        json_schema_extra=duration(CHILDREN),
    )
    child_attempts: int = Field(
        default=1,
        ge=1,
        le=50,
        title="Runs per child",
        description="Runs that Temporal starts before a child counts as failed.",
        json_schema_extra=group(CHILDREN),
    )
    child_backoff: float = Field(
        default=1,
        gt=0,
        le=3_600,
        title="Child backoff",
        description="Before the second run of a child; doubles with each further run.",
        json_schema_extra=duration(CHILDREN),
    )
    non_retryable: str = Field(
        default="",
        max_length=500,
        title="Non-retryable errors",
        description="Error types after which neither the item nor the child is retried, such as KeyError, NotFound.",
        json_schema_extra=group(ATTEMPTS),
    )
    parent_close: ParentClose = Field(
        default=ParentClose.TERMINATE,
        title="When the parent closes",
        description="Whether open children are terminated, requested to cancel or abandoned.",
        json_schema_extra=group(CHILDREN),
    )
    cancellation: Cancellation = Field(
        default=Cancellation.WAIT,
        title="When canceled",
        description="Wait until children have cleaned up, only request it, or abandon them.",
        json_schema_extra=group(CHILDREN),
    )
    fire_and_forget: bool = Field(
        default=False,
        title="Fire and forget",
        description="The parent finishes as soon as all children have started; they continue without it.",
        json_schema_extra=group(CHILDREN),
    )

    @field_validator("non_retryable")
    @classmethod
    def _are_names(cls, given: str) -> str:
        if given.strip() and not all(name.strip().isidentifier() for name in given.split(",")):
            raise ValueError("Enter error types separated by commas, such as KeyError, NotFound.")
        return given

    @property
    def non_retryable_types(self) -> list[str]:
        """The types of error that are not retried."""
        return [name.strip() for name in self.non_retryable.split(",") if name.strip()]

    @model_validator(mode="after")
    def _forgotten_children_live_on(self) -> Self:
        if self.fire_and_forget and self.parent_close is not ParentClose.ABANDON:
            raise ValueError("Fire and forget requires children that are abandoned when the parent finishes (abandon).")
        return self


class EndOptions(BaseModel):
    """What happens once the last child has closed."""

    summarise: bool = Field(
        default=False,
        title="Write a report",
        description="Counts, durations and grouped errors, as a download.",
        json_schema_extra=group(END),
    )


class InputOptions(BaseModel):
    """How the input is read."""

    paged: bool = Field(
        default=False,
        title="Read while it runs",
        description="Read page by page, for an input of any length; rows are checked as they are read, not in advance.",
        json_schema_extra=group(INPUT),
    )
    page_children: int = Field(
        default=500,
        ge=1,
        le=1_000,
        title="Children per page",
        description="Each page is a partition of its own; at most two are open at a time.",
        json_schema_extra=group(INPUT),
    )
