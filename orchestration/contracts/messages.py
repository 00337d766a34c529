"""Arguments and results of the signals, updates and queries of parents."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from orchestration.contracts.status import Counts, RunStatus


@dataclass(frozen=True)
class Progress:
    """Answer to the `progress` query: counts of what is directly below this run, children or partitions.

    `rate` is how many of them closed per second of workflow time, and `eta` the seconds that the rest will take; None
    where unknown. `held` is the reason why the batch is held, "" when it is not.
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
    """A person's decision at an approval gate."""

    approved: bool
    person: str


MOST_CHILDREN = 150_000
"""Children that one input or result may name, since a payload has at most 2 MB."""


@dataclass(frozen=True)
class ChildrenRequest:
    """Child indices (over the whole batch) to give another attempt, or to continue without.

    `lost` names those of them that run again, or are left out, even if they completed: the record has lost their
    results.
    """

    children: list[int]
    lost: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class ChildrenCommand:
    """A request by signal: the name of the update that it stands for, and an id of its own."""

    update: str
    id: str
    request: ChildrenRequest


@dataclass(frozen=True)
class ChildrenAnswer:
    """Children that parents accepted, and refused with the reason for a person; `unasked` had no open parent."""

    accepted: list[int] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    unasked: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, request: ChildrenRequest, do: Callable[[int], str | None]) -> Self:
        """Call `do` for each requested child; a child for which it returns a reason is refused."""
        answer = cls()
        for child in request.children:
            refusal = do(child)
            if refusal is None:
                answer.accepted.append(child)
            else:
                answer.refused[child] = refusal
        return answer
