"""Inputs and states of long-lived workflows: pool workers and entities."""

from dataclasses import dataclass, field

from orchestration.contracts.chunks import ChunkInput
from orchestration.contracts.status import Failure, Status


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
class WorkerReport:
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
class EntityOperation:
    """One item as an operation on an entity, and the workflow that is told (by HANDED_BACK_SIGNAL) how it ended."""

    chunk: ChunkInput
    reply_to: str


@dataclass(frozen=True)
class EntityInput:
    """Start of an entity, or of the run with which it goes on: the operations that wait, and how many are done.

    `recent` are the run ids of those done last, so that one that comes twice is not done twice. `idle` in seconds.
    """

    entity: str
    continue_after: int
    idle: float
    done: int = 0
    waiting: list[EntityOperation] = field(default_factory=list)
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
    operation: EntityOperation
