"""Inputs and states of parents with a flow of their own."""

from dataclasses import dataclass, field
from typing import Any

from orchestration.plan.plan import Plan


@dataclass(frozen=True)
class Section:
    """A stage over some of the items: a range of children and of items, made when it is their turn.

    `stage` is the index in its definition of a pipeline's stage, or of a step that fans out. What a retry lets through
    a pipeline later, and each round of a loop, is a section of its own.
    """

    number: int
    stage: int
    first_child: int
    first_item: int
    items: int


@dataclass(frozen=True)
class SectionRequest:
    """Which section a pipeline wants next: of all items that the stage before has let through since the last one."""

    batch_id: str
    number: int
    stage: int


@dataclass(frozen=True)
class FanOutRequest:
    """Which fan-out a flow begins: section `number`, of stage `stage`, over `items` (None: the batch's).

    `position` is its row's among those of the flow, and `around` the step that it is in, if it is in one.
    """

    batch_id: str
    number: int
    stage: int
    position: int
    items: list[Any] | None
    around: str = ""


@dataclass(frozen=True)
class FlowState:
    """What a flow that closed had done, for one that goes on: results by row id and by name, sections by row id."""

    done: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    fan_outs: dict[str, int] = field(default_factory=dict)
    rows: int = 0


@dataclass(frozen=True)
class FlowInput:
    """Start of a parent with a flow of its own. `definition` is a model of orchestration.definitions as data.

    One with fan-outs has the `sections` made so far; one that is started to retry waits for its `retry` update, and
    goes on from the state `before`. One that is started to `undo` does nothing but roll back the children of sections.
    """

    batch_id: str
    plan: Plan
    items: int
    definition: dict[str, Any]
    label: str = ""
    paused: bool = False
    sections: list[Section] = field(default_factory=list)
    is_retry: bool = False
    before: FlowState = field(default_factory=FlowState)
    undo: dict[int, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class ServiceInput:
    """Start of a service that is one processor over one input (`work`: definitions.Work as data)."""

    batch_id: str
    plan: Plan
    name: str
    work: dict[str, Any]


@dataclass(frozen=True)
class StepInput:
    """One processor over one input, as a step of a flow. `idempotency_key`: as ItemContext has it."""

    batch_id: str
    name: str
    processor: str
    parameters: dict[str, Any]
    data: dict[str, Any]
    idempotency_key: str = ""
