"""Inputs and results of children, and the slices and results that they exchange with their store.

Everything here may lie in a workflow history for months: a field is added with a default, never renamed or removed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from orchestration.contracts.status import Failure
from orchestration.plan.plan import Plan


@dataclass(frozen=True)
class ItemOptions:
    """How items run that are activities of their own. `timeout` and `backoff` in seconds."""

    is_local: bool
    attempts: int
    backoff: float
    timeout: float
    concurrency: int


@dataclass(frozen=True)
class ChunkInput:
    """Input of a child: which slice of the batch's items it processes. The items themselves are in the store.

    With `undo` it compensates those that completed. `may_rerun`: Temporal may give it another run when items failed.
    With `options` each item is an activity of its own. `run_id` is the run's id where the chunk is no workflow itself,
    `stage` the stage of its pipeline. `begins_in_task`: a local activity in the child's first workflow task may start
    the chunk; the items before the index `begun_before` have been claimed by such an activity. `after_loss`: a worker
    may have been lost with this run of the chunk, so that what is begun is noted. `began_at`: the workflow's time when
    it calls a local activity, which has none of Temporal's own.
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
    after_loss: bool = False
    began_at: datetime | None = None


@dataclass(frozen=True)
class ItemInput:
    """Input of an item that is an activity of its own: its index over the whole batch, and the attempts it may have."""

    chunk: ChunkInput
    index: int
    attempts: int


@dataclass(frozen=True)
class PendingItems:
    """Indices of a chunk's items that are still to be processed, and the number of those that have completed."""

    indices: list[int]
    completed: int


@dataclass(frozen=True)
class ResourcesInput:
    """Which items' resources to read: a slice, and the field that names the resource. Chunks have one item each.

    The answer has those of the first items that together take `most` bytes of JSON, and of one at least; 0: of all.
    """

    batch_id: str
    field: str
    offset: int
    length: int
    most: int = 0


@dataclass(frozen=True)
class ChildRange:
    """A half-open range of a batch's children, and whether it is about what is to `undo` of them."""

    batch_id: str
    first: int
    stop: int
    undo: bool = False


@dataclass(frozen=True)
class HoldInput:
    """Request to hold a resource: the workflow id that whoever uses it has, and after how many seconds it ends."""

    workflow_id: str
    resource: str
    seconds: float


@dataclass(frozen=True)
class ChunkResult:
    """Counts of a closed child's items, and the first failure as a sample."""

    completed: int
    failed: int
    sample: Failure | None = None


@dataclass(frozen=True)
class InlineChunk:
    """How far a chunk got within its first workflow task: its result, or else the items claimed, `before` an index."""

    result: ChunkResult | None = None
    before: int | None = None


@dataclass(frozen=True)
class ItemWork:
    """An item to process, or to undo (then with its `result`). `attempts` counts those of all runs so far.

    `ends` counts how often a worker was lost that had begun it in this run of the child.
    """

    index: int
    key: str
    data: dict[str, Any]
    attempts: int = 0
    result: Any = None
    ends: int = 0


@dataclass(frozen=True)
class BegunItems:
    """Items, by index, that a run of a child has begun or is about to; `token` names the process's pass over them."""

    batch_id: str
    run_id: str
    token: str
    indices: list[int]


@dataclass(frozen=True)
class ChunkNote:
    """What a run of a child is doing, in words: the newest progress that one of its items has reported, and when."""

    batch_id: str
    child: int
    text: str
    at: datetime | None = None
    run_id: str = ""


@dataclass(frozen=True)
class ChunkWork:
    """A slice as read from the store.

    `items` are those that this run has still to process. `completed` counts those that completed in any run, `failed`
    those that failed in this one; `sample` is this run's first failure.
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
    """The outcome of one item in one run of its child: a JSON-able result, or a failure after all its attempts.

    `attempts` is the total over all runs, `duration` the seconds of the last attempt. With `undone` it is the outcome
    of the item's compensation: no result, or a failure. `finished_at` is by Temporal's clock, or else unknown: that of
    the worker's host may differ.
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
    finished_at: datetime | None = None
