"""What a child of one item gets: delegation to a workflow, or a saga."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SagaItem:
    """An item and the saga (definitions.Saga as data) that it goes through; `is_done` when it has completed before."""

    definition: dict[str, Any]
    data: dict[str, Any]
    attempts: int
    is_done: bool = False


@dataclass(frozen=True)
class DelegatedWorkflow:
    """A workflow that is started for an item: any type, its one argument. `timeout` in seconds.

    Without an id it gets one below its child's.
    """

    workflow_type: str
    task_queue: str
    argument: Any
    workflow_id: str = ""
    timeout: float | None = None


@dataclass(frozen=True)
class Delegation:
    """What a child that delegates its item has still to do. `made` counts attempts of earlier runs, `backoff` seconds.

    `non_retryable` are types of errors after which there is no further attempt.
    """

    delegate: DelegatedWorkflow
    made: int
    attempts: int
    backoff: float
    non_retryable: list[str] = field(default_factory=list)
