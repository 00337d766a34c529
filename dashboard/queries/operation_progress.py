"""Progress of operations: how many of their children are fixed, failed again, or in progress. Reads only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Count

from dashboard.models import Batch, Node, NodeStatus, Operation, UnansweredCommand
from dashboard.queries.timeline import DONE
from orchestration.processors.catalogue import shown_parameters

SHOWN = 5
"""Operations that the batch page shows, the newest."""


@dataclass(frozen=True)
class Difference:
    """A parameter that an operation changes."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class OperationProgress:
    """An operation, and how many of its accepted children are fixed, failed again, or in progress.

    `not_known_since` is set while Temporal has not answered it.
    """

    operation: Operation
    fixed: int
    failed: int
    under_way: int
    differences: Sequence[Difference]
    not_known_since: datetime | None = None

    @property
    def verb(self) -> str:
        """What the person did."""
        return str(DONE[self.operation.action])

    @property
    def superseded(self) -> int:
        """How many accepted children belong to a later operation."""
        return max(0, self.operation.accepted_number - self.fixed - self.failed - self.under_way)


def newest_operations(batch: Batch) -> list[OperationProgress]:
    """Return the newest confirmed operations of a batch."""
    confirmed = batch.operations.filter(confirmed_at__isnull=False).select_related("person", "batch")
    return progress_of(list(confirmed.order_by("-confirmed_at")[:SHOWN]))


def unanswered_commands(batch: Batch) -> list[UnansweredCommand]:
    """Return the commands on a batch of which it is not known yet whether they were done, oldest first."""
    return list(batch.unanswered.filter(settled_at=None).select_related("audit__person").order_by("sent_at", "pk"))


def progress_of(operations: Sequence[Operation]) -> list[OperationProgress]:
    """Return the progress of operations."""
    numbers = defaultdict[str, Counter[str]](Counter)
    nodes = Node.objects.filter(operation__in=operations).order_by()
    for operation_id, status, number in nodes.values_list("operation", "status").annotate(Count("pk")):
        numbers[operation_id][status] = number
    open_commands = UnansweredCommand.objects.filter(operation__in=operations, settled_at=None)
    not_known = dict(open_commands.order_by("-sent_at").values_list("operation", "sent_at"))
    return [
        replace(_progress(operation, numbers[operation.pk]), not_known_since=not_known.get(operation.pk))
        for operation in operations
    ]


def _progress(operation: Operation, numbers: Counter[str]) -> OperationProgress:
    fixed = numbers[NodeStatus.COMPLETED]
    under_way = numbers[NodeStatus.PENDING] + numbers[NodeStatus.RUNNING]
    changed = differences(operation.batch, operation.parameters) if operation.parameters is not None else []
    return OperationProgress(operation, fixed, numbers.total() - fixed - under_way, under_way, changed)


def differences(batch: Batch, parameters: dict[str, Any]) -> list[Difference]:
    """Return the parameters that differ from the batch's, without credentials."""
    before, after = (shown_parameters(batch.processor, each) for each in (batch.parameters, parameters))
    names = dict.fromkeys([*batch.parameters, *parameters])
    changed = [name for name in names if batch.parameters.get(name) != parameters.get(name)]
    return [Difference(name, before.get(name), after.get(name)) for name in changed]
