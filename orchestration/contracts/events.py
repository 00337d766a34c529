"""Tree events: what a parent reports to the dashboard."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orchestration.contracts.status import Failure, Status

PAUSED_NOTE = "Paused: takes nothing further."
"""What a pool worker's row says while it is paused."""

EVENTS_PER_NOTIFY = 500


class NodeKind(StrEnum):
    """What a workflow execution is in its batch's tree. A parent is one that Canopy did not start."""

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
    """What a tree event reports. Started and closed are of one run, the next three of a node, the others of the batch.

    Waiting is of a node that cannot start yet, and skipped of one that will not; note is what a running one is doing.
    """

    STARTED = "started"
    CLOSED = "closed"
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
    """Where a node belongs: below which node (its workflow id), as what, under which name, at which position.

    `is_workflow` is false for what is a part of its parent's execution, and no workflow of its own.
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
    """One change in a batch's tree, as its parent saw it. May arrive twice, late, or never.

    `at` is the parent's workflow time. `outcome` is set on closed events, `window` (children) on window events. `place`
    says where a node belongs that was not known at launch; `note` is a sentence for a person (what came of a row
    that closes), `until` a deadline.
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
