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


def group(name: str) -> dict[str, Any]:
    """Return the schema entry that puts a field into a group of the launch form."""
    return {"group": name}


FAILURES, PACE, CHILDREN, RESOURCES = "When children fail", "Pace", "Child options", "Resources"
APPROVAL, END, INPUT = "Approval", "At the end", "Input"


class FailureOptions(BaseModel):
    """What happens when children fail."""

    failure_policy: FailurePolicy = Field(
        default=FailurePolicy.COLLECT,
        title="When children fail",
        description="Collect: run all, list failures. Fail fast: stop at the first. Tolerate: stop above a limit.",
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
        title="Tolerated share",
        description="Percent of all children that may fail.",
        json_schema_extra=group(FAILURES),
    )
    on_threshold: OnThreshold = Field(
        default=OnThreshold.STOP,
        title="Above the limit",
        description="Stop; stop and roll back what completed; or hold for the operator.",
        json_schema_extra=group(FAILURES),
    )
    hold_at_end: bool = Field(
        default=False,
        title="Hold at the end",
        description="Stay open when children have failed, until somebody retries, skips or finishes.",
        json_schema_extra=group(FAILURES),
    )
    hold_timeout: float = Field(
        default=86_400,
        gt=0,
        le=2_592_000,
        title="Longest hold",
        description="Seconds that a held batch waits for the operator before it finishes by itself.",
        json_schema_extra=group(FAILURES),
    )
    breaker_failures: int | None = Field(
        default=None,
        ge=1,
        le=1_000,
        title="Circuit breaker",
        description="Failures in a row that open it: nothing more is started then.",
        json_schema_extra=group(FAILURES),
    )
    breaker_cooldown: float = Field(
        default=30,
        gt=0,
        le=86_400,
        title="Cool-down",
        description="Seconds until one child may probe whether the fault is gone.",
        json_schema_extra=group(FAILURES),
    )
    breaker_open: WhileOpen = Field(
        default=WhileOpen.WAIT,
        title="While it is open",
        description="Children wait, or are skipped with that reason.",
        json_schema_extra=group(FAILURES),
    )

    @model_validator(mode="after")
    def _limits_fit_policy(self) -> Self:
        limits = [self.tolerated_failures, self.tolerated_percent]
        given = sum(limit is not None for limit in limits)
        if self.failure_policy is FailurePolicy.TOLERATE and given != 1:
            raise ValueError("Tolerate needs either a number of failures or a percentage.")
        if self.failure_policy is not FailurePolicy.TOLERATE and given:
            raise ValueError("A tolerated number or share needs the policy tolerate.")
        if self.failure_policy is FailurePolicy.COLLECT and self.on_threshold is not OnThreshold.STOP:
            raise ValueError("Rolling back and holding above a limit need the policy tolerate or fail fast.")
        return self


class PaceOptions(BaseModel):
    """How fast children are started, beside the window."""

    group_size: int | None = Field(
        default=None,
        ge=1,
        le=1_000,
        title="Group size",
        description="Children of a group: all have closed before the next group starts.",
        json_schema_extra=group(PACE),
    )
    group_delay: float = Field(
        default=0,
        ge=0,
        le=86_400,
        title="Pause between groups",
        description="Seconds.",
        json_schema_extra=group(PACE),
    )
    partitions: Partitioning = Field(
        default=Partitioning.AUTO,
        title="Partitions",
        description="Above 1,000 children, parents between the root and the children.",
        json_schema_extra=group(PACE),
    )

    @model_validator(mode="after")
    def _delay_has_groups(self) -> Self:
        if self.group_delay and self.group_size is None:
            raise ValueError("A pause between groups needs a group size.")
        return self


class ChildOptions(BaseModel):
    """How Temporal runs children."""

    execution: Execution = Field(
        default=Execution.CHUNK,
        title="Items run as",
        description="An activity a chunk; a (local) activity an item; activities of the parent, without children; or "
        "chunks in the hands of a pool of as many long-lived workers as the window says; operations on entities.",
        json_schema_extra=group(CHILDREN),
    )
    child_execution_timeout: float | None = Field(
        default=None,
        gt=0,
        le=31_536_000,
        title="Execution timeout",
        description="Seconds that a child may take, all its runs together.",
        json_schema_extra=group(CHILDREN),
    )
    child_run_timeout: float | None = Field(
        default=None,
        gt=0,
        le=31_536_000,
        title="Run timeout",
        description="Seconds that one run of a child may take.",
        json_schema_extra=group(CHILDREN),
    )
    child_task_timeout: float | None = Field(
        default=None,
        ge=1,
        le=120,
        title="Task timeout",
        description="Seconds that a worker may take for one workflow task.",
        json_schema_extra=group(CHILDREN),
    )
    child_attempts: int = Field(
        default=1,
        ge=1,
        le=50,
        title="Runs per child",
        description="Runs that Temporal gives a child by itself before it counts as failed.",
        json_schema_extra=group(CHILDREN),
    )
    child_backoff: float = Field(
        default=1,
        gt=0,
        le=3_600,
        title="Backoff of children",
        description="Seconds before a child's second run; doubles with each further one.",
        json_schema_extra=group(CHILDREN),
    )
    non_retryable: str = Field(
        default="",
        max_length=500,
        title="Not retried",
        description="Types of error after which neither item nor child is tried again, such as KeyError, NotFound.",
        json_schema_extra=group(CHILDREN),
    )
    parent_close: ParentClose = Field(
        default=ParentClose.TERMINATE,
        title="When the parent closes",
        description="Open children are terminated, asked to cancel, or left alone.",
        json_schema_extra=group(CHILDREN),
    )
    cancellation: Cancellation = Field(
        default=Cancellation.WAIT,
        title="When canceled",
        description="Wait until children have cleaned up, only ask them to, or leave them alone.",
        json_schema_extra=group(CHILDREN),
    )
    fire_and_forget: bool = Field(
        default=False,
        title="Fire and forget",
        description="The parent closes as soon as all children have started; they go on alone.",
        json_schema_extra=group(CHILDREN),
    )

    @field_validator("non_retryable")
    @classmethod
    def _are_names(cls, given: str) -> str:
        if given.strip() and not all(name.strip().isidentifier() for name in given.split(",")):
            raise ValueError("Name types of error, with commas between them: KeyError, NotFound.")
        return given

    @property
    def non_retryable_types(self) -> list[str]:
        """The types of error that are not retried."""
        return [name.strip() for name in self.non_retryable.split(",") if name.strip()]

    @model_validator(mode="after")
    def _forgotten_children_live_on(self) -> Self:
        if self.fire_and_forget and self.parent_close is not ParentClose.ABANDON:
            raise ValueError("Fire and forget needs children that are left alone when the parent closes (abandon).")
        return self


class ApprovalOptions(BaseModel):
    """Whether a person has to approve the start."""

    approval: bool = Field(
        default=False,
        title="Wait for approval",
        description="Start nothing until an operator approves; end when they refuse.",
        json_schema_extra=group(APPROVAL),
    )
    approval_timeout: float = Field(
        default=86_400,
        gt=0,
        le=2_592_000,
        title="Longest wait",
        description="Seconds until an approval that nobody gave counts as refused.",
        json_schema_extra=group(APPROVAL),
    )


class EndOptions(BaseModel):
    """What happens once the last child has closed."""

    summarise: bool = Field(
        default=False,
        title="Write a report",
        description="Counts, durations and grouped errors, to be downloaded.",
        json_schema_extra=group(END),
    )


class InputOptions(BaseModel):
    """How the input is read."""

    paged: bool = Field(
        default=False,
        title="Read while it runs",
        description="Page by page, for an input of any length: rows are checked as they come, not before.",
        json_schema_extra=group(INPUT),
    )
    page_children: int = Field(
        default=500,
        ge=1,
        le=1_000,
        title="Children of a page",
        description="Each page is a partition of its own; two are open at a time.",
        json_schema_extra=group(INPUT),
    )
