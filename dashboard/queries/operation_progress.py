"""What has become of operations: how many children are mended, failed again, or under way. Reads only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from dashboard.models import Batch, Node, NodeStatus, Operation

SHOWN = 5
"""Operations on the batch page, the newest."""


@dataclass(frozen=True)
class Difference:
    """A parameter that was changed."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class OperationProgress:
    """An operation as it stands: how many of those taken on are mended, failed again, under way, or of a later one."""

    operation: Operation
    mended: int
    failed: int
    under_way: int
    differences: Sequence[Difference]

    @property
    def elsewhere(self) -> int:
        """How many were taken on again by a later operation."""
        return max(0, self.operation.accepted_number - self.mended - self.failed - self.under_way)


def newest_operations(batch: Batch) -> list[OperationProgress]:
    """Return the newest operations of a batch that were confirmed."""
    confirmed = batch.operations.filter(confirmed_at__isnull=False).select_related("person", "batch")
    return progress_of(list(confirmed.order_by("-confirmed_at")[:SHOWN]))


def progress_of(operations: Sequence[Operation]) -> list[OperationProgress]:
    """Return how some operations stand."""
    numbers = defaultdict[str, Counter[str]](Counter)
    nodes = Node.objects.filter(operation__in=operations).order_by()
    for operation_id, status, number in nodes.values_list("operation", "status").annotate(Count("pk")):
        numbers[operation_id][status] = number
    return [_progress(operation, numbers[operation.pk]) for operation in operations]


def _progress(operation: Operation, numbers: Counter[str]) -> OperationProgress:
    mended = numbers[NodeStatus.COMPLETED]
    under_way = numbers[NodeStatus.PENDING] + numbers[NodeStatus.RUNNING]
    changed = differences(operation.batch, operation.parameters) if operation.parameters is not None else []
    return OperationProgress(operation, mended, numbers.total() - mended - under_way, under_way, changed)


def differences(batch: Batch, parameters: dict[str, Any]) -> list[Difference]:
    """Return which of some parameters are not the batch's."""
    names = dict.fromkeys([*batch.parameters, *parameters])
    pairs = [Difference(name, batch.parameters.get(name), parameters.get(name)) for name in names]
    return [each for each in pairs if each.before != each.after]
