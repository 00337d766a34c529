"""Inputs and states of parents that run a flow: pipelines, sagas, services and steps."""

from collections.abc import Container
from dataclasses import dataclass, field, replace
from typing import Any, Self

from orchestration.contracts.step_results import without_notes
from orchestration.plan.plan import Plan


@dataclass(frozen=True)
class Section:
    """A run of a stage over some of the items: a range of children and of items, created when the stage starts.

    `stage` is the index in the definition of a pipeline's stage, or of a step that fans out. Items that pass a stage
    only after a retry form a section of their own, and so does each round of a loop.
    """

    number: int
    stage: int
    first_child: int
    first_item: int
    items: int


@dataclass(frozen=True)
class SectionRequest:
    """Request for a pipeline's next section: of all items that have passed the stage before since the last one."""

    batch_id: str
    number: int
    stage: int


@dataclass(frozen=True)
class FanOutRequest:
    """Request for a flow's fan-out: section `number`, of stage `stage`, over `items` (None: the batch's).

    `position` is that of its row among those of the flow, and `around` the step that contains it, if any.
    """

    batch_id: str
    number: int
    stage: int
    position: int
    items: list[Any] | None
    around: str = ""


@dataclass(frozen=True)
class FanOutOverResult:
    """Request for a fan-out of the step `name` over the list that `ref` refers to: a value of `results` by name."""

    request: FanOutRequest
    name: str
    ref: str
    results: dict[str, Any]


@dataclass(frozen=True)
class ConditionInput:
    """A condition (orchestration.definitions.expressions.Condition as data) over results by name."""

    batch_id: str
    condition: dict[str, Any]
    results: dict[str, Any]


@dataclass(frozen=True)
class AnswerInput:
    """A run of a workflow that has completed, whose result is to be kept as that of the row `keep` called `name`."""

    batch_id: str
    name: str
    workflow_id: str
    run_id: str
    keep: str


@dataclass(frozen=True)
class FlowState:
    """State of a closed flow for the run that continues it: results by row id and by name, sections by row id.

    `window` is the one that a person set for its stages. One that is larger than Temporal takes has its `bytes` alone.
    `named` are the row ids of the results that have a name and a row: `results` has only the others.
    """

    done: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    fan_outs: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    window: int | None = None
    bytes: int = 0
    named: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        done: dict[str, Any],
        results: dict[str, Any],
        fan_outs: dict[str, int],
        rows: int,
        window: int | None = None,
    ) -> Self:
        """Return a state that has a result which is the same object as one of a row only once."""
        row_of = {id(result): row for row, result in done.items()}
        named = {name: row_of[id(result)] for name, result in results.items() if id(result) in row_of}
        others = {name: result for name, result in results.items() if name not in named}
        return cls(without_notes(done), without_notes(others), fan_outs, rows, window, named=named)

    def recorded(self, sections: Container[int]) -> Self:
        """Return the state without the fan-outs of other sections, and without the steps around these.

        The record was restored from a state before they began: they run again, and what came after them stands.
        """
        gone = [row for row, number in self.fan_outs.items() if number not in sections]
        if not gone:
            return self
        done = {row: each for row, each in self.done.items() if not any(f"{at}/".startswith(f"{row}/") for at in gone)}
        named = {name: row for name, row in self.named.items() if row in done}
        fan_outs = {row: number for row, number in self.fan_outs.items() if row not in gone}
        return replace(self, done=done, fan_outs=fan_outs, named=named)

    @property
    def by_name(self) -> dict[str, Any]:
        """All results by name."""
        return self.results | {name: self.done[row] for name, row in self.named.items()}


@dataclass(frozen=True)
class FlowInput:
    """Input of a parent that runs a flow. `definition` is a model of orchestration.definitions as data.

    `sections` are the fan-outs created so far. A run that `is_retry` waits for its `retry` update, and continues from
    the state `before`. A run that is started to `undo` does nothing but roll back the children of sections. Sections
    that are `unapproved` ask for approval also when it retries them, where their plan asks for it. `window` replaces
    that of its stages' plans.
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
    unapproved: list[int] = field(default_factory=list)
    window: int | None = None


@dataclass(frozen=True)
class ServiceInput:
    """Input of a service that is one processor over one input (`work`: definitions.parts.Work as data)."""

    batch_id: str
    plan: Plan
    name: str
    work: dict[str, Any]


@dataclass(frozen=True)
class StepInput:
    """One processor over one input, as a step of a flow. `idempotency_key`: see ItemContext.

    `after_loss`: a worker was lost with the step in this run of the flow, so that what is begun is noted. Where there
    are `results`, parameters and data are to be filled with what they refer to in them. A result of more than `inline`
    bytes is kept in the store as that of the row `keep`, if that is given.
    """

    batch_id: str
    name: str
    processor: str
    parameters: dict[str, Any]
    data: dict[str, Any]
    idempotency_key: str = ""
    after_loss: bool = False
    results: dict[str, Any] = field(default_factory=dict)
    keep: str = ""
    inline: int = 0
