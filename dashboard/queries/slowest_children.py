"""The slowest children of a batch: those that took longest, and those that have run longest so far. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.models import Batch, Node, NodeStatus
from dashboard.queries.selection import ALL_CHILDREN

SHOWN = 3


@dataclass(frozen=True)
class Slowest:
    """The children that took longest, longest first, and the running ones that started first."""

    closed: Sequence[Node]
    running: Sequence[Node]


def slowest_of(batch: Batch) -> Slowest:
    """Return the slowest children of a batch."""
    children = ALL_CHILDREN.children(batch)
    running = children.filter(status=NodeStatus.RUNNING, started_at__isnull=False).order_by("started_at")
    return Slowest(
        list(children.filter(duration__gt=0).order_by("-duration")[:SHOWN]),
        list(running[:SHOWN]) if batch.children_running else [],
    )
