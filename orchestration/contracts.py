"""What crosses a boundary: between workflows and activities, and between orchestration and the dashboard.

Everything here may lie in a workflow history for months: a field is added with a default, never renamed or removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from orchestration.plan import Plan

CHILD_TASK_QUEUE = "canopy"
DASHBOARD_TASK_QUEUE = "canopy-dashboard"

NOTIFY_ACTIVITY = "notify"
PROCESS_CHUNK_ACTIVITY = "process_chunk"

EVENTS_PER_NOTIFY = 500


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
    """What a workflow execution is in its batch's tree."""

    ROOT = "root"
    PARTITION = "partition"
    CHILD = "child"


class EventKind(StrEnum):
    """What a tree event reports. Started and closed are of one run; the others of the batch as a whole."""

    STARTED = "started"
    CLOSED = "closed"
    PAUSED = "paused"
    RESUMED = "resumed"
    WINDOW = "window"


@dataclass(frozen=True)
class Failure:
    """Why an attempt of a child or an item did not complete: an error type and a message for a person."""

    type: str
    message: str
    stack: str = ""


@dataclass(frozen=True)
class TreeEvent:
    """One change in a batch's tree, as its parent saw it. May arrive twice, late, or never.

    `at` is the parent's workflow time. `outcome` is set on closed events, `window` (children) on window events.
    """

    kind: EventKind
    workflow_id: str
    run_id: str
    at: datetime
    outcome: Status | None = None
    failure: Failure | None = None
    window: int | None = None


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
    def total(self) -> int:
        """All outcomes together."""
        return self.completed + self.unfinished

    def add(self, outcome: Status, number: int = 1) -> None:
        """Count `number` more (or, negative, fewer) of an outcome."""
        setattr(self, outcome.value, getattr(self, outcome.value) + number)


@dataclass(frozen=True)
class FanOutInput:
    """Start of a root or of a partition.

    `first` and `stop` are the half-open range of child indices below it. A run that is started to retry has
    `children`: the root gets an empty list and waits for its `retry` update, a partition gets those to run.
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


@dataclass(frozen=True)
class FanOutResult:
    """What a parent returns: counts of its children by newest outcome, and the indices of those not completed.

    Covers the children that this run of the parent started or skipped: `reran` when those were not all of them.
    """

    counts: Counts
    unfinished: dict[Status, list[int]] = field(default_factory=dict)
    reran: list[int] | None = None


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
    take: None for what is not known.
    """

    total: int
    pending: int
    running: int
    counts: Counts
    window: int
    paused: bool
    status: RunStatus = RunStatus.RUNNING
    rate: float | None = None
    eta: float | None = None


@dataclass(frozen=True)
class RetryRequest:
    """Child indices (over the whole batch) that get another attempt."""

    children: list[int]


@dataclass(frozen=True)
class RetryAnswer:
    """What the parent took on, and what it refused with the reason for a person."""

    accepted: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ChunkInput:
    """Start of a child: which slice of the batch's items it processes. The items themselves lie in the store."""

    batch_id: str
    child: int
    offset: int
    length: int
    task_queue: str
    timeout: timedelta


@dataclass(frozen=True)
class ChunkResult:
    """Counts of a closed child's items; failed items come with the first failure as a sample."""

    completed: int
    failed: int
    sample: Failure | None = None


@dataclass(frozen=True)
class ItemWork:
    """One item to be processed. `attempts` counts those already made, in earlier runs too."""

    index: int
    key: str
    data: dict[str, Any]
    attempts: int = 0


@dataclass(frozen=True)
class ChunkWork:
    """A slice as read from the store.

    `items` are those still to be processed by this run: neither completed ever nor failed in this very run
    (`completed` and `failed` count those). `sample` is the first failure of this run.
    """

    processor: str
    parameters: dict[str, Any]
    plan: Plan
    items: list[ItemWork]
    completed: int = 0
    failed: int = 0
    sample: Failure | None = None


@dataclass(frozen=True)
class ItemResult:
    """What became of one item in one run of its child: a JSON-able result, or a failure after all its attempts.

    `attempts` is the total over all runs, `duration` the seconds of the last attempt.
    """

    batch_id: str
    child: int
    run_id: str
    index: int
    attempts: int
    duration: float
    result: Any = None
    failure: Failure | None = None


class ChunkStore(Protocol):
    """Where items lie. Called from worker threads; implemented by the dashboard."""

    def read_chunk(self, work: ChunkInput, run_id: str) -> ChunkWork:
        """Return what this run of the child has still to do.

        Raises LookupError when the batch or the slice does not exist.
        """
        ...

    def write_results(self, results: Sequence[ItemResult]) -> None:
        """Record results, of any number of batches and children, in one transaction a batch.

        Writing the same result again changes nothing; a completed item never becomes anything else.
        """
        ...
