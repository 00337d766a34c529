"""Inputs of children that have one item: a saga, or the delegation to another workflow."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SagaItem:
    """An item and its saga (definitions.models.Saga as data); `is_done` when it has completed before."""

    definition: dict[str, Any]
    data: dict[str, Any]
    attempts: int
    is_done: bool = False


@dataclass(frozen=True)
class DelegatedWorkflow:
    """The workflow to which a child delegates its item: of any type, with one argument. `timeout` in seconds.

    Without an id it gets one below the child's.
    """

    workflow_type: str
    task_queue: str
    argument: Any
    workflow_id: str = ""
    timeout: float | None = None


@dataclass(frozen=True)
class Delegation:
    """What a delegating child has still to do. `made` counts the attempts of earlier runs, `backoff` is in seconds.

    After an error of a type in `non_retryable` there is no further attempt.
    """

    delegate: DelegatedWorkflow
    made: int
    attempts: int
    backoff: float
    non_retryable: list[str] = field(default_factory=list)
