"""Statuses of nodes, items and parents, failures, and counts of outcomes."""

from dataclasses import dataclass
from enum import StrEnum

ROLLED_BACK = "RolledBack"
"""Error type of a root that has rolled back."""

RESULTS_MISSING = "ResultsMissing"
"""Error type of an item or a chunk whose run ended without a result of it."""

ITEMS_FAILED = "ItemsFailed"
"""Error type of a chunk of which items failed."""

RESULTS_LOST = "ResultsLost"
"""Error type of what Temporal has completed and of which the database has lost results."""

RUN_LOST = "RunLost"
"""Error type of a run that was open in the database and of which Temporal knows nothing any more."""

REFUSED = "Refused"
"""Error type of a fan-out or a flow that was refused, or that nobody approved in time."""


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
        """Whether the attempt has ended."""
        return self not in (Status.PENDING, Status.RUNNING)

    @property
    def is_retryable(self) -> bool:
        """Whether another attempt may be started: it has ended, and not completed."""
        return self.is_outcome and self is not Status.COMPLETED


@dataclass(frozen=True)
class Failure:
    """Why an attempt of a child or an item did not complete: an error type and a message for a person."""

    type: str
    message: str
    stack: str = ""


LEFT_OUT = Failure("LeftOut", "Skipped by an operator.")
"""Failure of a child that a person has skipped."""


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
        """Failed, terminated or timed out: those that count against a failure limit."""
        return self.failed + self.terminated + self.timed_out

    @property
    def total(self) -> int:
        """All outcomes together."""
        return self.completed + self.unfinished

    def add(self, outcome: Status, number: int = 1) -> None:
        """Count `number` more (or, negative, fewer) of an outcome."""
        setattr(self, outcome.value, getattr(self, outcome.value) + number)


class RunStatus(StrEnum):
    """State of a parent's run in its answer to a query: one of the first three while it is open, then its outcome."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
