"""What children are given and give back, and the store that they read and write.

Everything here may lie in a workflow history for months: a field is added with a default, never renamed or removed.
"""

# Annotations are types here, not strings: in the workflow sandbox nobody could look their names up in this module.
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from orchestration.contracts import (
    Failure,
    ReadPage,
    Section,
    Status,
    SummariseInput,
    WantedFanOut,
    WantedPage,
    WantedSection,
)
from orchestration.plan import Plan


@dataclass(frozen=True)
class ItemOptions:
    """How items are run that are activities of their own. `timeout` and `backoff` in seconds."""

    is_local: bool
    attempts: int
    backoff: float
    timeout: float
    concurrency: int


@dataclass(frozen=True)
class ChunkInput:
    """Start of a child: which slice of the batch's items it processes. The items themselves lie in the store.

    With `undo` it compensates those that completed. `may_rerun`: Temporal may give it another run when items failed.
    With `options` each item is an activity of its own. `run_id` names the run where the chunk is no workflow itself,
    `stage` the stage of its pipeline. `begins_in_task`: the child's workflow task may begin it. A chunk that was begun
    so has a `begun_before`: the items before that index have been taken.
    """

    batch_id: str
    child: int
    offset: int
    length: int
    task_queue: str
    timeout: timedelta
    undo: bool = False
    may_rerun: bool = False
    options: ItemOptions | None = None
    run_id: str = ""
    stage: int | None = None
    begins_in_task: bool = False
    begun_before: int | None = None


@dataclass(frozen=True)
class PoolWorkerInput:
    """Start of a pool worker, or of the run with which it goes on: what it had done before."""

    number: int
    completed: int = 0
    failed: int = 0
    is_paused: bool = False


@dataclass(frozen=True)
class PoolWorkerState:
    """Answer to a pool worker's `state` query: the child it is at, if any, and what it has done in all its runs."""

    doing: int | None
    completed: int
    failed: int
    is_paused: bool


@dataclass(frozen=True)
class HandedBack:
    """What a pool worker tells its coordinator: how a chunk ended (`child`), or that it was paused or resumed.

    An entity tells the same of an operation.
    A chunk that it was handed while it was paused comes back without an outcome: somebody else may have it.
    """

    worker: int
    is_paused: bool
    child: int | None = None
    run_id: str = ""
    outcome: Status | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class Operation:
    """One item as an operation on an entity, and the workflow that is told (by HANDED_BACK_SIGNAL) how it ended."""

    chunk: ChunkInput
    reply_to: str


@dataclass(frozen=True)
class SagaItem:
    """An item and the saga (definitions.Saga as data) that it goes through; `is_done` when it has completed before."""

    definition: dict[str, Any]
    data: dict[str, Any]
    attempts: int
    is_done: bool = False


@dataclass(frozen=True)
class Delegate:
    """A workflow that is started for an item: any type, its one argument. `timeout` in seconds.

    Without an id it gets one below its child's.
    """

    workflow_type: str
    task_queue: str
    argument: Any
    workflow_id: str = ""
    timeout: float | None = None


@dataclass(frozen=True)
class Delegation:
    """What a child that delegates its item has still to do. `made` counts attempts of earlier runs, `backoff` seconds.

    `non_retryable` are types of errors after which there is no further attempt.
    """

    delegate: Delegate
    made: int
    attempts: int
    backoff: float
    non_retryable: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class EntityInput:
    """Start of an entity, or of the run with which it goes on: the operations that wait, and how many are done.

    `recent` are the run ids of those done last, so that one that comes twice is not done twice. `idle` in seconds.
    """

    entity: str
    continue_after: int
    idle: float
    done: int = 0
    waiting: list[Operation] = field(default_factory=list)
    recent: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class EntityState:
    """Answer to an entity's `state` query. `doing` is the run id of the operation at work."""

    doing: str
    waiting: int
    done: int


@dataclass(frozen=True)
class Submission:
    """An operation on its way to its entity, which is started (as `entity` says) where it does not run."""

    workflow_id: str
    entity: EntityInput
    operation: Operation


@dataclass(frozen=True)
class ItemInput:
    """One item (an index over the whole batch) that is an activity of its own, and the attempts that it may have."""

    chunk: ChunkInput
    index: int
    attempts: int


@dataclass(frozen=True)
class PendingItems:
    """Indices of a chunk's items that are still to be processed, and how many have completed before."""

    indices: list[int]
    completed: int


@dataclass(frozen=True)
class ResourcesInput:
    """Which items' resources are asked for: a field of theirs, and a slice. Chunks of one item each."""

    batch_id: str
    field: str
    offset: int
    length: int


@dataclass(frozen=True)
class ChunkResult:
    """Counts of a closed child's items; failed items come with the first failure as a sample."""

    completed: int
    failed: int
    sample: Failure | None = None


@dataclass(frozen=True)
class BegunChunk:
    """How far a chunk came in a moment: it is done where there is a result, else items before an index were taken."""

    result: ChunkResult | None = None
    before: int | None = None


@dataclass(frozen=True)
class ItemWork:
    """One item to be processed, or undone (then with the `result` it had). `attempts` counts all those made so far."""

    index: int
    key: str
    data: dict[str, Any]
    attempts: int = 0
    result: Any = None


@dataclass(frozen=True)
class ChunkNote:
    """What a child is doing, in words: the newest of what its items say."""

    batch_id: str
    child: int
    text: str


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

    `attempts` is the total over all runs, `duration` the seconds of the last attempt. With `undone` it tells what
    became of undoing the item: nothing more to say, or a failure.
    """

    batch_id: str
    child: int
    run_id: str
    index: int
    attempts: int
    duration: float
    result: Any = None
    failure: Failure | None = None
    undone: bool = False


class ReportStore(Protocol):
    """Where reports go. Called from worker threads; implemented by the dashboard."""

    def write_report(self, given: SummariseInput) -> None:
        """Write the report of a run, once: the same run again changes nothing. Raises LookupError without a batch."""
        ...


class InputUnreadable(Exception):
    """An input that cannot be read on, whoever tries: why, for a person."""


class CannotFanOut(Exception):
    """A fan-out that cannot begin, whoever tries: why, for a person."""


class GrowingStore(Protocol):
    """Where items and children are added while a batch runs. Called from worker threads."""

    def read_page(self, wanted: WantedPage) -> ReadPage:
        """Make a page's items and children of what comes next in the input, once: the same page again is as it is.

        Raises LookupError when the batch does not exist, InputUnreadable.
        """
        ...

    def advance(self, wanted: WantedSection) -> Section:
        """Make a section of a pipeline, once; one without items where none is let through. Raises LookupError."""
        ...

    def begin_fan_out(self, wanted: WantedFanOut) -> Section:
        """Make a section of a flow, once; one without items where there are none. Raises LookupError, CannotFanOut."""
        ...


class ItemStore(Protocol):
    """What the work on items needs of where they lie. Called from worker threads.

    Implemented by the dashboard, and by RemoteStore for workers that have only its address.
    """

    def read_chunk(self, work: ChunkInput, run_id: str) -> ChunkWork:
        """Return what this run of the child has still to do.

        Raises LookupError when the batch or the slice does not exist.
        """
        ...

    def read_upload(self, upload_id: str) -> Iterator[bytes]:
        """Yield the content of a file that is a parameter. Raises LookupError when it is gone."""
        ...

    def write_note(self, note: ChunkNote) -> None:
        """Show what a running child is doing; of one that has closed nothing is changed."""
        ...

    def write_results(self, results: Sequence[ItemResult]) -> None:
        """Record results, of any number of batches and children, in one transaction a batch.

        Writing the same result again changes nothing; a completed item never becomes anything else.
        """
        ...


class ChunkStore(ItemStore, ReportStore, GrowingStore, Protocol):
    """Where items lie. Called from worker threads; implemented by the dashboard."""

    def read_resources(self, wanted: ResourcesInput) -> list[str]:
        """Return what each item of a slice names as its resource. Raises LookupError when the batch does not exist."""
        ...

    def read_saga_item(self, chunk: ChunkInput) -> SagaItem:
        """Return the one item of a chunk, and the saga that it goes through. Raises LookupError."""
        ...
