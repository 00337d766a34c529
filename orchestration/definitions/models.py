"""Definitions: flows of their own as data, one frozen model a kind. What the workflows interpret; no code in them.

`orchestration.definition_text.parse` makes them of text and checks what a model alone cannot: names, order of
references, processors and their parameters. `definition_values` evaluates references and conditions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from orchestration.contracts.names import CHILD_TASK_QUEUE, SERVICE_WORKFLOW
from orchestration.contracts.status import Status
from orchestration.definitions.expressions import Condition, Part, Reference, one_of
from orchestration.plan.options import Cancellation, Execution, OnThreshold
from orchestration.plan.plan import MAX_POOL_WORKERS, Plan

MAX_TEXT_BYTES = 256 * 1024
MAX_DEPTH = 20
"""Steps (or conditions) within steps (or conditions)."""

MAX_STEPS = 1_000
"""Stages, services or steps of one definition."""

MAX_STEP_RUNS = 5_000
"""Steps that one run of a definition may come to, every loop at its maximum: its history has to hold them."""

MAX_SECONDS = 365 * 86_400
RESUMABLE_KINDS = ("services", "steps")
"""The kinds that know what they have done: a retry does the rest, once they have closed."""

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=60,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        description="Unique in its definition; letters, digits, - and _: it is part of workflow ids.",
    ),
]
ProcessorName = Annotated[str, Field(min_length=1, max_length=100)]
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
Data = dict[str, Any]
"""JSON. A mapping whose only key is `ref` stands for the value it refers to: {"ref": "step.field"}."""


class Work(Part):
    """One item's work: a processor, its parameters, and the item (`input`; {} where nothing is given)."""

    processor: ProcessorName
    parameters: Data = {}
    input: Data = {}


# Steps


class Loop(Part):
    """Rounds of steps. The condition is looked at after each round: there is at least one, and at most `max`."""

    until: Condition | None = None
    while_: Condition | None = Field(default=None, alias="while")
    max: int = Field(ge=1, le=1_000, description="Rounds at most.")
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if (self.until is None) == (self.while_ is None):
            raise PydanticCustomError("loop", "A loop has exactly one of: until, while.")
        return self


def _items_tag(value: Any) -> str | None:
    if value == "batch":
        return "<batch>"
    if isinstance(value, Mapping | Reference):
        return "<reference>"
    return "<list>" if isinstance(value, list | tuple) else None


UNSUITED_TO_STAGES = ("paged", "resource_field", "fire_and_forget", "summarise")
"""What the plan of a stage cannot have. One that rolls back undoes its own children, and not what stages did before."""


def _suits_a_stage(plan: Plan) -> Plan:
    return _refuse_unsuited(plan, "a stage", {name: bool(getattr(plan, name)) for name in UNSUITED_TO_STAGES})


def _refuse_unsuited(plan: Plan, part: str, unsuited: Mapping[str, bool]) -> Plan:
    """Return the plan, unless a part cannot have what it sets. `unsuited`: by name, whether it is set."""
    if found := [name for name, is_set in unsuited.items() if is_set]:
        names = {"part": part, "names": ", ".join(found)}
        raise PydanticCustomError("unsuited", "The plan of {part} cannot have {names}.", names)
    return plan


StagePlan = Annotated[Plan, AfterValidator(_suits_a_stage)]
"""The plan of a fan-out within a flow."""


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
            custom_error_message='Items are "batch", a list, or a reference to a list: {ref: step.field}.',
        ),
    ] = "batch"


class OnTimeout(StrEnum):
    """What an approval becomes when nobody has decided in time."""

    APPROVE = "approve"
    REFUSE = "refuse"


class Approval(Part):
    """Waits for a person. The result is {"approved", "by", "comment"}; `by` is "" after a timeout."""

    title: str = Field(min_length=1, max_length=200)
    timeout: Seconds = 86_400.0
    on_timeout: OnTimeout = OnTimeout.REFUSE


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
            raise PydanticCustomError("if", "An if needs steps in then or in else.")
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
        custom_error_message="A step has exactly one of: run, parallel, if, loop, fan_out, approval, sleep.",
    ),
]


RESULT_FIELDS: Mapping[str, frozenset[str]] = {
    "if": frozenset({"branch"}),
    "loop": frozenset({"rounds", "held"}),
    "fan_out": frozenset({"items", *(status.value for status in Status if status.is_outcome)}),
    "approval": frozenset({"approved", "by", "comment"}),
}
"""Fields of the results that the workflow itself makes: a reference to another one is refused."""


# Kinds


class Definition(Part):
    """What every kind has."""

    kind: str
    description: str = Field(default="", max_length=2_000)


class Takes(StrEnum):
    """What the next stage gets of an item that a stage let through."""

    ITEM = "item"
    RESULT = "result"


class Stage(Part):
    """A fan-out over the items that the stage before let through; the first: over the batch's.

    A stage lets through what completes, and of that only what it is to `keep`: a condition on {"ref": "result.field"}
    and {"ref": "item.field"}. With `takes: result` it works on the results of the stage before instead of its items.
    """

    name: Name
    processor: ProcessorName
    parameters: Data = {}
    plan: StagePlan = Plan()
    keep: Condition | None = None
    takes: Takes = Takes.ITEM


class Pipeline(Definition):
    """Stages in order (C1)."""

    kind: Literal["pipeline"]
    stages: tuple[Stage, ...] = Field(min_length=1, max_length=50)


class Service(Part):
    """One child of its own type on its own queue. `timeout`: seconds until it alone has timed out."""

    name: Name
    workflow_type: str = Field(default=SERVICE_WORKFLOW, min_length=1, max_length=200)
    task_queue: str = Field(default=CHILD_TASK_QUEUE, min_length=1, max_length=200)
    processor: str = ""
    parameters: Data = {}
    input: Data = {}
    timeout: Seconds = 300.0

    @model_validator(mode="after")
    def _has_work(self) -> Self:
        if self.workflow_type == SERVICE_WORKFLOW and not self.processor:
            raise PydanticCustomError("service", "A service needs a processor, or a workflow_type of its own.")
        return self


class Services(Definition):
    """Services in parallel, their results combined by name (C2)."""

    kind: Literal["services"]
    services: tuple[Service, ...] = Field(min_length=1, max_length=200)


class SagaStep(Work):
    """One step, and how it is undone. The compensation's references may name this step, too."""

    name: Name
    compensation: Work | None = None


class Saga(Definition):
    """Steps with compensations (C3).

    With `fan_out` one saga an item: {"ref": "item.field"}; a step or compensation without input takes the item.
    """

    kind: Literal["saga"]
    steps: tuple[SagaStep, ...] = Field(min_length=1, max_length=MAX_STEPS)
    fan_out: bool = False
    plan: Plan = Plan()

    @model_validator(mode="after")
    def _plan_suits_sagas(self) -> Self:
        """Refuse what sagas of items cannot do, what they do by themselves, and what would cut off their undoing."""
        if self.fan_out:
            _refuse_unsuited(self.plan, "a saga of each item", _unsuited_to_sagas(self.plan))
        return self


def _unsuited_to_sagas(plan: Plan) -> dict[str, bool]:
    return {
        "paged": plan.paged,
        "chunk_size above 1": plan.chunk_size != 1,
        "execution": plan.execution is not Execution.CHUNK,
        "on_threshold roll_back": plan.on_threshold is OnThreshold.ROLL_BACK,
        "child_attempts": plan.child_attempts != 1,
        "child_execution_timeout": plan.child_execution_timeout is not None,
        "child_run_timeout": plan.child_run_timeout is not None,
        "cancellation without wait": plan.cancellation is not Cancellation.WAIT,
    }


class Pool(Definition):
    """Long-lived workers that take items one by one (C4)."""

    kind: Literal["pool"]
    workers: int = Field(ge=1, le=MAX_POOL_WORKERS)
    processor: ProcessorName
    parameters: Data = {}


class Entity(Definition):
    """One long-lived workflow for each account or device; items are operations, in order (C5).

    `key` is the field of an item that names its entity; without one it is the item's business key.
    """

    kind: Literal["entity"]
    processor: ProcessorName
    parameters: Data = {}
    key: str = Field(default="", max_length=200)
    continue_after: int = Field(default=100, ge=1, le=1_000, description="Operations of one run.")


class Steps(Definition):
    """Steps in order, with branches, loops, fan-outs and approvals (C6, C8)."""

    kind: Literal["steps"]
    steps: tuple[Step, ...] = Field(min_length=1)

    @property
    def fan_outs(self) -> tuple[FanOutStep, ...]:
        """The steps that fan out, in the order of the text: a section's `stage` is an index of them."""
        return tuple(step for step in _every(self.steps) if isinstance(step, FanOutStep))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What a fan-out of each of them is: a stage."""
        return tuple(
            Stage(
                name=step.name,
                processor=step.fan_out.processor,
                parameters=step.fan_out.parameters,
                plan=step.fan_out.plan,
            )
            for step in self.fan_outs
        )


def _every(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step, ParallelStep):
            yield from _every(step.parallel)
        elif isinstance(step, IfStep):
            yield from _every((*step.then, *step.otherwise))
        elif isinstance(step, LoopStep):
            yield from _every(step.loop.steps)
        elif isinstance(step, ApprovalStep):
            yield from _every(step.refused)


AnyDefinition = Annotated[Pipeline | Services | Saga | Pool | Entity | Steps, Field(discriminator="kind")]
KINDS: Mapping[str, type[Definition]] = {
    "pipeline": Pipeline,
    "services": Services,
    "saga": Saga,
    "pool": Pool,
    "entity": Entity,
    "steps": Steps,
}
