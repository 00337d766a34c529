"""What crosses a boundary: between workflows and activities, and between orchestration and the dashboard.

Everything here may lie in a workflow history for months: a field is added with a default, never renamed or removed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from orchestration.plan import Layout, Plan

CHILD_TASK_QUEUE = "canopy"
DASHBOARD_TASK_QUEUE = "canopy-dashboard"

NOTIFY_ACTIVITY = "notify"
DELIVER_ACTIVITY = "deliver"
GIVE_UP_DELIVERY_ACTIVITY = "give_up_delivery"
BEGIN_CHUNK_ACTIVITY = "begin_chunk"
PROCESS_CHUNK_ACTIVITY = "process_chunk"
RUN_STEP_ACTIVITY = "run_step"
PROCESS_ITEM_ACTIVITY = "process_item"
PENDING_ITEMS_ACTIVITY = "pending_items"
SUMMARISE_ACTIVITY = "summarise"
ADVANCE_ACTIVITY = "advance"
BEGIN_FAN_OUT_ACTIVITY = "begin_fan_out"
SUBMIT_ACTIVITY = "submit"
READ_SAGA_ITEM_ACTIVITY = "read_saga_item"
WRITE_RESULT_ACTIVITY = "write_result"
READ_DELEGATION_ACTIVITY = "read_delegation"
RESULT_OF_ACTIVITY = "result_of"
READ_PAGE_ACTIVITY = "read_page"
READ_RESOURCES_ACTIVITY = "read_resources"
AWAIT_WORKFLOW_ACTIVITY = "await_workflow"

SCHEDULE_TASK_QUEUE = "canopy-schedules"
LAUNCH_SCHEDULED_ACTIVITY = "launch_scheduled"
AWAIT_BATCH_ACTIVITY = "await_batch"

HANDED_BACK_SIGNAL = "handed_back"
"""A pool worker's signal to its coordinator."""

ENTITY_WORKFLOW = "EntityWorkflow"
ENTITY_SUBMIT = "submit"
"""An entity's type, and its signal that takes an operation."""

CHUNK_WORKFLOW, ITEM_SAGA_WORKFLOW, DELEGATE_WORKFLOW = "ChunkWorkflow", "ItemSagaWorkflow", "DelegateWorkflow"
"""Types of children."""

PAUSED_NOTE = "Paused: takes nothing further."
"""What a pool worker's row says while it is paused."""

EVENTS_PER_NOTIFY = 500

ROLLED_BACK = "RolledBack"
"""Type of the error of a root that has undone what had completed."""


class Status(StrEnum):
    """State of a node or an item. Everything but pending and running is an outcome, and final for its attempt."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"

    @property
    def is_outcome(self) -> bool:
        """Whether nothing more happens in this attempt."""
        return self not in (Status.PENDING, Status.RUNNING)

    @property
    def is_retryable(self) -> bool:
        """Whether a retry may start another attempt: closed, and not completed."""
        return self.is_outcome and self is not Status.COMPLETED


class NodeKind(StrEnum):
    """What a workflow execution is in its batch's tree. A parent is one that Canopy did not start."""

    ROOT = "root"
    PARENT = "parent"
    PARTITION = "partition"
    STAGE = "stage"
    CHILD = "child"
    ROLLBACK = "rollback"
    STEP = "step"
    SERVICE = "service"
    POOL_WORKER = "pool_worker"
    ENTITY = "entity"
    GATE = "gate"


class EventKind(StrEnum):
    """What a tree event reports. Started and closed are of one run, the next three of a node, the others of the batch.

    Waiting is of a node that cannot start yet, and skipped of one that will not; note is what a running one is doing.
    """

    STARTED = "started"
    CLOSED = "closed"
    WAITING = "waiting"
    SKIPPED = "skipped"
    NOTE = "note"
    PAUSED = "paused"
    RESUMED = "resumed"
    WINDOW = "window"
    HELD = "held"
    RELEASED = "released"
    BREAKER_OPENED = "breaker_opened"
    BREAKER_HALF_OPEN = "breaker_half_open"
    BREAKER_CLOSED = "breaker_closed"
    ROLLING_BACK = "rolling_back"
    GATE_OPENED = "gate_opened"
    GATE_DECIDED = "gate_decided"
    CONTINUED = "continued"


@dataclass(frozen=True)
class Failure:
    """Why an attempt of a child or an item did not complete: an error type and a message for a person."""

    type: str
    message: str
    stack: str = ""


LEFT_OUT = Failure("LeftOut", "The operator chose to go on without it.")
"""Why a child is skipped that a person did not want any more."""


@dataclass(frozen=True)
class Place:
    """Where a node belongs: below which node (its workflow id), as what, under which name, at which position.

    `is_workflow` is false for what is a part of its parent's execution, and no workflow of its own.
    """

    parent: str
    kind: NodeKind
    label: str = ""
    position: int = 0
    offset: int = 0
    length: int = 0
    is_workflow: bool = True


@dataclass(frozen=True)
class TreeEvent:
    """One change in a batch's tree, as its parent saw it. May arrive twice, late, or never.

    `at` is the parent's workflow time. `outcome` is set on closed events, `window` (children) on window events. `place`
    says where a node belongs that was not known at launch; `note` is a sentence for a person (what came of a row
    that closes), `until` a deadline.
    """

    kind: EventKind
    workflow_id: str
    run_id: str
    at: datetime
    outcome: Status | None = None
    failure: Failure | None = None
    window: int | None = None
    note: str = ""
    until: datetime | None = None
    place: Place | None = None


@dataclass(frozen=True)
class NotifyInput:
    """At most EVENTS_PER_NOTIFY events of one batch, oldest first."""

    batch_id: str
    events: list[TreeEvent]


@dataclass
class Counts:
    """Number of children (or items) by outcome."""

    completed: int = 0
    failed: int = 0
    canceled: int = 0
    terminated: int = 0
    timed_out: int = 0
    skipped: int = 0

    @property
    def unfinished(self) -> int:
        """Closed without having completed."""
        return self.failed + self.canceled + self.terminated + self.timed_out + self.skipped

    @property
    def failures(self) -> int:
        """Closed otherwise than completed, canceled or skipped: what counts against a failure limit."""
        return self.failed + self.terminated + self.timed_out

    @property
    def total(self) -> int:
        """All outcomes together."""
        return self.completed + self.unfinished

    def add(self, outcome: Status, number: int = 1) -> None:
        """Count `number` more (or, negative, fewer) of an outcome."""
        setattr(self, outcome.value, getattr(self, outcome.value) + number)


@dataclass(frozen=True)
class BreakerState:
    """A circuit breaker between two partitions: failures in a row, and until when it is open if it is."""

    in_a_row: int = 0
    open_until: datetime | None = None


@dataclass(frozen=True)
class Cursor:
    """How much of an input that is read page by page has been read. `counts` are of children of earlier runs."""

    pages: int = 0
    items: int = 0
    is_last: bool = False
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True)
class WantedPage:
    """Which page of its input a batch wants next, counted from 0."""

    batch_id: str
    page: int


@dataclass(frozen=True)
class ReadPage:
    """A page that has been read, and lies in the store: its items, and whether the input ends with it."""

    items: int
    is_last: bool


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
class WantedSection:
    """Which section a pipeline wants next: of all items that the stage before has let through since the last one."""

    batch_id: str
    number: int
    stage: int


@dataclass(frozen=True)
class WantedFanOut:
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
class FanOutInput:
    """Start of a root, of a stage (a section of a pipeline) or of a partition.

    `first` and `stop` are the half-open range of child indices below it, `first_child` and `first_item` those at which
    the section begins that it is a part of. A run that is started to retry has `children`: the root gets an empty list
    and waits for its `retry` update, the others get those to run. With `roll_back` it undoes those children instead.
    A root or stage that is started to `undo` does nothing but roll those children back.
    A root with a `cursor` reads its input page by page, from there on; `items` are those read before.
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

    @property
    def is_head(self) -> bool:
        """Whether policies are kept here: in a root or a stage, and not in a partition."""
        return self.partition is None

    @property
    def is_root(self) -> bool:
        """Whether it is the root of its batch."""
        return self.is_head and self.section is None

    @property
    def layout(self) -> Layout:
        """The tree of the section (or the batch) that it is a part of."""
        return Layout.of(self.plan, self.items, first_child=self.first_child, first_item=self.first_item)


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


@dataclass(frozen=True)
class FanOutResult:
    """What a parent returns: counts of its children by newest outcome, and the indices of those not completed.

    Covers the children that this run of the parent started or skipped: `reran` when those were not all of them.
    """

    counts: Counts
    unfinished: dict[Status, list[int]] = field(default_factory=dict)
    reran: list[int] | None = None
    breaker: BreakerState | None = None


@dataclass(frozen=True)
class SummariseInput:
    """What a report is about: one run of a batch's root, how it ended, and its children by outcome."""

    batch_id: str
    run_id: str
    outcome: Status
    reason: str
    counts: Counts


class RunStatus(StrEnum):
    """State of a parent's run, as it tells it by query: one of the first three, or once it closes its outcome."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Progress:
    """Answer to the `progress` query: what this run has directly below it, children or partitions.

    `rate` is how many of them closed per second of the run, by workflow time, and `eta` the seconds that the rest will
    take: None for what is not known. `held` says why the batch is held, if it is.
    """

    total: int
    pending: int
    running: int
    counts: Counts
    window: int
    paused: bool
    held: str = ""
    held_until: datetime | None = None
    status: RunStatus = RunStatus.RUNNING
    rate: float | None = None
    eta: float | None = None


@dataclass(frozen=True)
class Decision:
    """What a person said at an approval gate."""

    approved: bool
    person: str


@dataclass(frozen=True)
class ChildrenRequest:
    """Child indices (over the whole batch) that get another attempt, or are to be gone on without."""

    children: list[int]


@dataclass(frozen=True)
class ChildrenAnswer:
    """What parents took on, and what they refused with the reason for a person; for `unasked` no parent was there."""

    accepted: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    unasked: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, request: ChildrenRequest, do: Callable[[int], str | None]) -> Self:
        """Do something for each child that is named: what returns why not is refused."""
        answer = cls()
        for child in request.children:
            refusal = do(child)
            if refusal is None:
                answer.accepted.append(child)
            else:
                answer.refused[child] = refusal
        return answer


@dataclass(frozen=True)
class Notification:
    """A notification to a person, as the dashboard has written it down."""

    delivery_id: str


@dataclass(frozen=True)
class ScheduledLaunch:
    """What a schedule starts at each of its times."""

    schedule_id: str


@dataclass(frozen=True)
class LaunchScheduled:
    """A launch that is due: `at` is its nominal time, `run_id` the first run of what the schedule started then.

    Together they name the batch once and for all; a nominal time alone may be that of two triggers in one second.
    """

    schedule_id: str
    at: datetime
    run_id: str

    @property
    def key(self) -> str:
        """The idempotency key: another try of the same launch finds the same batch."""
        return f"schedule:{self.schedule_id}:{self.at.isoformat()}:{self.run_id}"


@dataclass(frozen=True)
class LaunchedBatch:
    """What a scheduled launch made: a batch, or with an empty id nothing that is worth waiting for."""

    batch_id: str
