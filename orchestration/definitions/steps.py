"""Steps of a flow: processors, branches, loops, fan-outs, approvals, pauses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from orchestration.contracts.status import Status
from orchestration.definitions.expressions import Condition, Part, Reference, one_of
from orchestration.definitions.parts import Data, Name, ProcessorName, Seconds, StagePlan, Work
from orchestration.plan.plan import Plan


class Loop(Part):
    """Rounds of steps. The condition is evaluated after each round: there is at least one, and at most `max`."""

    until: Condition | None = None
    while_: Condition | None = Field(default=None, alias="while")
    max: int = Field(ge=1, le=1_000, description="Maximum number of rounds.")
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if (self.until is None) == (self.while_ is None):
            raise PydanticCustomError("loop", "A loop must have exactly one of: until, while.")
        return self


def _items_tag(value: Any) -> str | None:
    if value == "batch":
        return "<batch>"
    if isinstance(value, Mapping | Reference):
        return "<reference>"
    return "<list>" if isinstance(value, list | tuple) else None


class FanOut(Part):
    """A fan-out over the batch's items, over a list in the definition, or over a list in an earlier result.

    What stands in a list and is no mapping becomes the item {"value": it}. The result is the children's counts:
    {"items", "completed", "failed", "canceled", "terminated", "timed_out", "skipped"}.
    """

    processor: ProcessorName
    parameters: Data = {}
    plan: StagePlan = Plan()
    items: Annotated[
        Annotated[Literal["batch"], Tag("<batch>")]
        | Annotated[Reference, Tag("<reference>")]
        | Annotated[tuple[Any, ...], Tag("<list>")],
        Discriminator(
            _items_tag,
            custom_error_type="items",
            custom_error_message='Items must be "batch", a list, or a reference to a list: {ref: step.field}.',
        ),
    ] = "batch"


class OnTimeout(StrEnum):
    """What an approval becomes when nobody has decided in time."""

    APPROVE = "approve"
    REFUSE = "refuse"


class Approval(Part):
    """Waits for a person. The result is {"approved", "by", "comment"}; `by` is "" after a timeout.

    With `four_eyes` whoever launched the batch may not approve.
    """

    title: str = Field(min_length=1, max_length=200)
    timeout: Seconds = 86_400.0
    on_timeout: OnTimeout = OnTimeout.REFUSE
    four_eyes: bool = False

    @model_validator(mode="after")
    def _somebody_approves(self) -> Self:
        if self.four_eyes and self.on_timeout is OnTimeout.APPROVE:
            raise PydanticCustomError("approval", "With four_eyes nobody's silence approves: on_timeout is refuse.")
        return self


class RunStep(Part):
    """One activity; its result is the processor's."""

    name: Name
    run: Work


class ParallelStep(Part):
    """Steps at the same time; over when all are. Its result is theirs by name."""

    name: Name
    parallel: tuple[Step, ...] = Field(min_length=1)


class IfStep(Part):
    """One of two branches. The result is {"branch": "then" | "else"}."""

    name: Name
    condition: Condition = Field(alias="if")
    then: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] = Field(default=(), alias="else")

    @model_validator(mode="after")
    def _some_branch(self) -> Self:
        if not self.then and not self.otherwise:
            raise PydanticCustomError("if", "An if requires steps in then or else.")
        return self


class LoopStep(Part):
    """Rounds of steps. The result is {"rounds": n, "held": whether the condition ended it, not the maximum}."""

    name: Name
    loop: Loop


class FanOutStep(Part):
    """A fan-out of children; see FanOut."""

    name: Name
    fan_out: FanOut


class ApprovalStep(Part):
    """Goes on once approved. Refused: runs `refused`, then the whole definition ends; later steps are skipped.

    The steps in `refused` may refer to the result: who refused.
    """

    name: Name
    approval: Approval
    refused: tuple[Step, ...] = ()


class SleepStep(Part):
    """Waits. No result."""

    name: Name
    sleep: Seconds


STEP_TAGS = {
    "run": "<run>",
    "parallel": "<parallel>",
    "if": "<if>",
    "loop": "<loop>",
    "fan_out": "<fan_out>",
    "approval": "<approval>",
    "sleep": "<sleep>",
}
_STEPS = (RunStep, ParallelStep, IfStep, LoopStep, FanOutStep, ApprovalStep, SleepStep)

Step = Annotated[
    Annotated[RunStep, Tag("<run>")]
    | Annotated[ParallelStep, Tag("<parallel>")]
    | Annotated[IfStep, Tag("<if>")]
    | Annotated[LoopStep, Tag("<loop>")]
    | Annotated[FanOutStep, Tag("<fan_out>")]
    | Annotated[ApprovalStep, Tag("<approval>")]
    | Annotated[SleepStep, Tag("<sleep>")],
    Discriminator(
        lambda value: one_of(STEP_TAGS, _STEPS, value),
        custom_error_type="step",
        custom_error_message="A step must have exactly one of: run, parallel, if, loop, fan_out, approval, sleep.",
    ),
]


RESULT_FIELDS: Mapping[str, frozenset[str]] = {
    "if": frozenset({"branch"}),
    "loop": frozenset({"rounds", "held"}),
    "fan_out": frozenset({"items", *(status.value for status in Status if status.is_outcome)}),
    "approval": frozenset({"approved", "by", "comment"}),
}
"""Fields of the results that the workflow itself makes: references to other fields are refused."""


def nested_steps(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps and the steps within them, in the order of the text."""
    for step in steps:
        yield step
        if isinstance(step, ParallelStep):
            yield from nested_steps(step.parallel)
        elif isinstance(step, IfStep):
            yield from nested_steps((*step.then, *step.otherwise))
        elif isinstance(step, LoopStep):
            yield from nested_steps(step.loop.steps)
        elif isinstance(step, ApprovalStep):
            yield from nested_steps(step.refused)
