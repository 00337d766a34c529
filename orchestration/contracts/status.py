"""Statuses, failures and counts."""

from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True)
class Failure:
    """Why an attempt of a child or an item did not complete: an error type and a message for a person."""

    type: str
    message: str
    stack: str = ""


LEFT_OUT = Failure("LeftOut", "The operator chose to go on without it.")
"""Why a child is skipped that a person did not want any more."""


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


class RunStatus(StrEnum):
    """State of a parent's run, as it tells it by query: one of the first three, or once it closes its outcome."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
