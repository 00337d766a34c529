"""Inputs and states of long-lived workflows: pool workers and entities."""

from dataclasses import dataclass, field

from orchestration.contracts.chunks import ChunkInput
from orchestration.contracts.status import Failure, Status


@dataclass(frozen=True)
class PoolWorkerInput:
    """Input of a pool worker, or of the run that continues it: counts of what earlier runs have done."""

    number: int
    completed: int = 0
    failed: int = 0
    is_paused: bool = False


@dataclass(frozen=True)
class PoolWorkerState:
    """Answer to a pool worker's `state` query: the child it processes, if any, and counts over all its runs."""

    doing: int | None
    completed: int
    failed: int
    is_paused: bool


@dataclass(frozen=True)
class WorkerReport:
    """Report of a pool worker to its coordinator: the outcome of a chunk (`child`), or that it was paused or resumed.

    An entity sends the same for an operation. A chunk that reaches a paused worker is returned without an outcome, and
    may be given to another one.
    """

    worker: int
    is_paused: bool
    child: int | None = None
    run_id: str = ""
    outcome: Status | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class EntityOperation:
    """One item as an operation on an entity; the workflow `reply_to` gets its outcome by WORKER_REPORT_SIGNAL."""

    chunk: ChunkInput
    reply_to: str

    @property
    def submitted_by(self) -> str:
        """The id of the run that submitted it."""
        return self.chunk.run_id.partition("/")[0]


@dataclass(frozen=True)
class EntityInput:
    """Input of an entity, or of the run that continues it: the operations that wait, and how many are done.

    `recent` are the run ids of the last operations, by which duplicates are recognised, `dropped` those of operations
    that wait and were canceled, `held` the runs whose operations wait because their batches are paused. `idle` in
    seconds.
    """

    entity: str
    continue_after: int
    idle: float
    done: int = 0
    waiting: list[EntityOperation] = field(default_factory=list)
    recent: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class EntityState:
    """Answer to an entity's `state` query. `doing` is the run id of the current operation."""

    doing: str
    waiting: int
    done: int


@dataclass(frozen=True)
class Submission:
    """An operation and the entity that it goes to, by signal with start: `entity` is its input if it is not running."""

    workflow_id: str
    entity: EntityInput
    operation: EntityOperation
