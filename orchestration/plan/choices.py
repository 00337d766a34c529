"""Choices in a plan, as enums."""

from __future__ import annotations

from enum import StrEnum


class FailurePolicy(StrEnum):
    """What a parent does when children fail."""

    COLLECT = "collect"
    FAIL_FAST = "fail_fast"
    TOLERATE = "tolerate"


class OnThreshold(StrEnum):
    """What a parent does when more children failed than its policy allows."""

    STOP = "stop"
    ROLL_BACK = "roll_back"
    HOLD = "hold"


class WhileOpen(StrEnum):
    """What happens to pending children while the circuit breaker is open."""

    WAIT = "wait"
    SKIP = "skip"


class Execution(StrEnum):
    """What runs the items of a chunk."""

    CHUNK = "chunk"
    ACTIVITIES = "activities"
    LOCAL_ACTIVITIES = "local_activities"
    NO_CHILDREN = "no_children"
    POOL = "pool"
    ENTITIES = "entities"


class ParentClose(StrEnum):
    """What happens to open children when their parent closes. Temporal's parent close policies."""

    TERMINATE = "terminate"
    REQUEST_CANCEL = "request_cancel"
    ABANDON = "abandon"


class Cancellation(StrEnum):
    """What a canceled parent does with its children. Temporal's child cancellation types."""

    WAIT = "wait"
    REQUEST = "request"
    ABANDON = "abandon"


class WhenTaken(StrEnum):
    """What a child does while another batch uses its resource."""

    WAIT = "wait"
    JOIN = "join"


class Partitioning(StrEnum):
    """Whether children may be put below partitions."""

    AUTO = "auto"
    NEVER = "never"
