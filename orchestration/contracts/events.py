"""Tree events: changes in a batch's tree that a parent reports to the dashboard."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orchestration.contracts.status import Failure, Status

PAUSED_NOTE = "Paused: takes no further chunks."
"""Note of a pool worker's row while it is paused."""

EVENTS_PER_NOTIFY = 500
"""Of one NotifyInput."""

UNDELIVERED_PER_QUERY = 500
"""Of one answer: 5,000 may be undelivered, and a message has at most 4 MB."""


class NodeKind(StrEnum):
    """What a node is in its batch's tree. PARENT is an external workflow that has children."""

    ROOT = "root"
    PARENT = "parent"
    PARTITION = "partition"
    STAGE = "stage"
    CHILD = "child"
    ROLLBACK = "rollback"
    STEP = "step"
    SERVICE = "service"
    POOL_WORKER = "pool_worker"
    ENTITY = "entity"
    GATE = "gate"


class EventKind(StrEnum):
    """What a tree event reports: STARTED and CLOSED of a run; WAITING, SKIPPED, NOTE of a node; the rest of the batch.

    REOPENED: a run that had reported its end is open. WAITING: the node cannot start yet. SKIPPED: it will not start.
    NOTE: what a running node is doing.
    """

    STARTED = "started"
    CLOSED = "closed"
    REOPENED = "reopened"
    WAITING = "waiting"
    SKIPPED = "skipped"
    NOTE = "note"
    PAUSED = "paused"
    RESUMED = "resumed"
    WINDOW = "window"
    HELD = "held"
    RELEASED = "released"
    BREAKER_OPENED = "breaker_opened"
    BREAKER_HALF_OPEN = "breaker_half_open"
    BREAKER_CLOSED = "breaker_closed"
    ROLLING_BACK = "rolling_back"
    GATE_OPENED = "gate_opened"
    GATE_DECIDED = "gate_decided"
    CONTINUED = "continued"


@dataclass(frozen=True)
class Place:
    """Where a node belongs in the tree: its parent's workflow id, its kind, label and position.

    `is_workflow` is false for a node that is part of its parent's execution, such as a step.
    """

    parent: str
    kind: NodeKind
    label: str = ""
    position: int = 0
    offset: int = 0
    length: int = 0
    is_workflow: bool = True


@dataclass(frozen=True)
class TreeEvent:
    """One change in a batch's tree, reported by a parent. May arrive twice, late, or never.

    `at` is the parent's workflow time. `outcome` is set on closed events, `window` (children) on window events.
    `place` is set for nodes that were not known at launch, `until` is a deadline, and `note` a sentence for a person.
    """

    kind: EventKind
    workflow_id: str
    run_id: str
    at: datetime
    outcome: Status | None = None
    failure: Failure | None = None
    window: int | None = None
    note: str = ""
    until: datetime | None = None
    place: Place | None = None


@dataclass(frozen=True)
class NotifyInput:
    """At most EVENTS_PER_NOTIFY events of one batch, oldest first."""

    batch_id: str
    events: list[TreeEvent]
