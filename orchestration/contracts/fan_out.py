"""Inputs and results of fan-outs: roots, stages and partitions.

Everything here may lie in a workflow history for months: a field is added with a default, never renamed or removed.
"""

from dataclasses import dataclass, field
from datetime import datetime

from orchestration.contracts.names import CHUNK_WORKFLOW
from orchestration.contracts.status import Counts, Status
from orchestration.plan.layout import Layout
from orchestration.plan.plan import Plan


@dataclass(frozen=True)
class BreakerState:
    """State of a circuit breaker, passed between partitions: failures in a row, and until when it is open."""

    in_a_row: int = 0
    open_until: datetime | None = None


@dataclass(frozen=True)
class Cursor:
    """Position in an input that is read page by page. `counts` are those of children of earlier runs."""

    pages: int = 0
    items: int = 0
    is_last: bool = False
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True)
class PageRequest:
    """Request for the next page of a batch's input, counted from 0."""

    batch_id: str
    page: int


@dataclass(frozen=True)
class InputPage:
    """A page that has been read into the store: its number of items, and whether it is the last one."""

    items: int
    is_last: bool


@dataclass(frozen=True)
class FanOutInput:
    """Input of a root, of a stage (a section of a pipeline) or of a partition.

    `first` and `stop` are the half-open range of child indices below it, `first_child` and `first_item` the indices at
    which its section begins. A run that retries has `children`: empty for the root, which waits for its `retry` update,
    and those to run for the others. With `roll_back` it undoes those children instead. A root or stage that is started
    to `undo` does nothing but roll those children back. A root with a `cursor` reads its input page by page from that
    position; `items` counts those read before. One that is not `approved` asks for approval also when it retries, where
    the plan asks for it. `attempt_id` is the id of the run that it continues as new.
    """

    batch_id: str
    plan: Plan
    items: int
    first: int
    stop: int
    partition: int | None = None
    children: list[int] | None = None
    window: int | None = None
    label: str = ""
    paused: bool = False
    roll_back: bool = False
    breaker: BreakerState | None = None
    cursor: Cursor | None = None
    section: int | None = None
    stage: int | None = None
    first_child: int = 0
    first_item: int = 0
    processor: str = ""
    child_workflow: str = CHUNK_WORKFLOW
    undo: bool = False
    approved: bool = True
    attempt_id: str = ""

    @property
    def is_head(self) -> bool:
        """Whether it applies the policies of its section: a root or a stage, not a partition."""
        return self.partition is None

    @property
    def is_root(self) -> bool:
        """Whether it is the root of its batch."""
        return self.is_head and self.section is None

    @property
    def layout(self) -> Layout:
        """The layout of its section (or batch)."""
        return Layout.of(self.plan, self.items, first_child=self.first_child, first_item=self.first_item)


@dataclass(frozen=True)
class FanOutResult:
    """Result of a parent: counts of its children by newest outcome, and the indices of those that did not complete.

    Covers the children that this run of the parent started or skipped; `reran` names them when they were not all.
    """

    counts: Counts
    unfinished: dict[Status, list[int]] = field(default_factory=dict)
    reran: list[int] | None = None
    breaker: BreakerState | None = None


@dataclass(frozen=True)
class SummariseInput:
    """Input of a report: one run of a batch's root, its outcome with the reason, and its children by outcome."""

    batch_id: str
    run_id: str
    outcome: Status
    reason: str
    counts: Counts
