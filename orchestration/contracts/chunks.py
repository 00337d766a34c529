"""What children are given and give back, and the store that they read and write.

Everything here may lie in a workflow history for months: a field is added with a default, never renamed or removed.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orchestration.contracts.status import Failure
from orchestration.plan.plan import Plan


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
class InlineChunk:
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
