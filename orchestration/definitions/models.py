"""Definitions of flows as data that workflows interpret, one frozen model a kind.

`parser.parse` makes them of text, and checks what a model alone cannot: names, the order of references, processors and
their parameters. `expressions` evaluates references and conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from orchestration.contracts.names import CHILD_TASK_QUEUE, SERVICE_WORKFLOW
from orchestration.definitions.expressions import Condition, Part
from orchestration.definitions.parts import Data, Name, ProcessorName, Seconds, StagePlan, Work, refuse_unsuited
from orchestration.definitions.steps import FanOutStep, Step, nested_steps
from orchestration.plan.choices import Cancellation, Execution, OnThreshold
from orchestration.plan.plan import MAX_POOL_WORKERS, Plan

MAX_TEXT_BYTES = 1024 * 1024
"""1 MB, in UTF-8."""

MAX_DEPTH = 20
"""Steps (or conditions) within steps (or conditions)."""

MAX_STEPS = 1_000
"""Stages, services or steps of one definition."""

MAX_STEP_RUNS = 5_000
"""Steps of one run with every loop at its maximum: more would not fit into its history."""

RESUMABLE_KINDS = ("services", "steps")
"""Kinds that keep the state of a closed run: a retry continues with the steps that are not done."""


class Definition(Part):
    """Fields of every kind."""

    kind: str
    description: str = Field(default="", max_length=2_000)

    def as_data(self) -> dict[str, Any]:
        """Return it as data, with its defaults."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Takes(StrEnum):
    """What the next stage gets for an item that passed."""

    ITEM = "item"
    RESULT = "result"


class Stage(Part):
    """A fan-out over the items that passed the stage before; the first stage's is over the batch's items.

    An item passes when it completes and satisfies `keep`: a condition on {"ref": "result.field"}
    and {"ref": "item.field"}. With `takes: result` it processes the results of the stage before instead of its items.
    """

    name: Name
    processor: ProcessorName
    parameters: Data = {}
    plan: StagePlan = Plan()
    keep: Condition | None = None
    takes: Takes = Takes.ITEM


class Pipeline(Definition):
    """Stages in order."""

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
            raise PydanticCustomError("service", "A service requires a processor or a workflow_type of its own.")
        return self


class Services(Definition):
    """Services in parallel, their results combined by name."""

    kind: Literal["services"]
    services: tuple[Service, ...] = Field(min_length=1, max_length=200)


class SagaStep(Work):
    """One step, and how it is undone. The compensation's references may name this step, too."""

    name: Name
    compensation: Work | None = None


class Saga(Definition):
    """Steps with compensations.

    With `fan_out` one saga an item: {"ref": "item.field"}; a step or compensation without input takes the item.
    """

    kind: Literal["saga"]
    steps: tuple[SagaStep, ...] = Field(min_length=1, max_length=MAX_STEPS)
    fan_out: bool = False
    plan: Plan = Plan()

    @model_validator(mode="after")
    def _plan_suits_sagas(self) -> Self:
        """Refuse options that sagas of items cannot have, have anyway, or that would cut off their compensations."""
        if self.fan_out:
            refuse_unsuited(self.plan, "a saga per item", _unsuited_to_sagas(self.plan))
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
    """Long-lived workers that take items one by one."""

    kind: Literal["pool"]
    workers: int = Field(ge=1, le=MAX_POOL_WORKERS)
    processor: ProcessorName
    parameters: Data = {}


class Entity(Definition):
    """One long-lived workflow for each account or device; items are operations, in order.

    `key` is the field of an item that names its entity; without one it is the item's business key.
    """

    kind: Literal["entity"]
    processor: ProcessorName
    parameters: Data = {}
    key: str = Field(default="", max_length=200)
    continue_after: int = Field(default=100, ge=1, le=1_000, description="Operations per run.")


class Steps(Definition):
    """Steps in order, with branches, loops, fan-outs and approvals."""

    kind: Literal["steps"]
    steps: tuple[Step, ...] = Field(min_length=1)

    @property
    def fan_outs(self) -> tuple[FanOutStep, ...]:
        """The steps that fan out, in the order of the text: a section's `stage` is an index of them."""
        return tuple(step for step in nested_steps(self.steps) if isinstance(step, FanOutStep))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The same steps as stages."""
        return tuple(
            Stage(
                name=step.name,
                processor=step.fan_out.processor,
                parameters=step.fan_out.parameters,
                plan=step.fan_out.plan,
            )
            for step in self.fan_outs
        )


AnyDefinition = Annotated[Pipeline | Services | Saga | Pool | Entity | Steps, Field(discriminator="kind")]
DEFINITION_TYPES: Mapping[str, type[Definition]] = {
    "pipeline": Pipeline,
    "services": Services,
    "saga": Saga,
    "pool": Pool,
    "entity": Entity,
    "steps": Steps,
}
