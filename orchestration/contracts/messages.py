"""Signals, updates and queries of parents: their arguments and results."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from orchestration.contracts.status import Counts, RunStatus


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
