"""Error groups: the failures of a batch grouped by signature, the one rule for every list of errors. Reads only.

Items are grouped by their own errors; children only where no item is to blame: they timed out, were terminated, or run
a workflow that is not ours. A signature remains after a retry has succeeded, so a group also counts what is fixed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Min, Q, QuerySet, Value
from django.utils.dateparse import parse_datetime

from dashboard.models import FAILURES, Attempt, Batch, Item, Node, NodeStatus
from orchestration.contracts.events import NodeKind
from orchestration.errors.signatures import template_of

SHOWN = 8
"""Groups that a page shows, the largest ones."""

RETRIED = {NodeStatus.PENDING: "under_way", NodeStatus.RUNNING: "under_way", NodeStatus.COMPLETED: "mended"}
"""Present status of what has failed before, as the field of a group that counts it."""


@dataclass(frozen=True)
class ErrorGroup:
    """One error: how many items or children fail with it now, in how many children, when, and one of their messages.

    `under_way` got another attempt that has not ended, `mended` completed after one. `share` is relative to the largest
    group, from 0 to 1000; `of_batch` to the batch's items or children, from 0 to 1.
    """

    signature: str
    error_type: str
    template: str
    sample: str
    number: int
    children: int
    under_way: int
    mended: int
    share: int
    of_batch: float
    first: datetime | None
    last: datetime | None
    of_items: bool


@dataclass(frozen=True)
class ErrorGroups:
    """The largest groups, and how many more there are."""

    shown: Sequence[ErrorGroup]
    more: int = 0


@dataclass(frozen=True)
class Sample:
    """Type and message of one failure of a group, the number of children that failed, and the first and last time."""

    error_type: str
    message: str
    children: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def joined(self, other: Sample) -> Sample:
        """Return the sample of failures that share a signature but not a status."""
        times = [at for at in (self.first, other.first, self.last, other.last) if at is not None]
        return replace(
            self,
            children=self.children + other.children,
            first=min(times, default=None),
            last=max(times, default=None),
        )


@dataclass
class Failures:
    """Failures with one signature, present ones and those before a retry; `sample` is None if none is present."""

    signature: str
    of_items: bool
    sample: Sample | None = None
    numbers: Counter[str] = field(default_factory=Counter)

    @property
    def number(self) -> int:
        """How many items or children fail now."""
        return self.numbers["failed"]


def error_groups(batch: Batch, shown: int = SHOWN) -> ErrorGroups:
    """Return the groups of a batch's failures, present and fixed, the largest first, `shown` at most."""
    found = failures_of(batch)
    found.sort(key=lambda each: (-each.number, -each.numbers.total()))
    largest = max((each.number for each in found), default=0) or 1
    return ErrorGroups([group_of(batch, each, largest) for each in found[:shown]], max(0, len(found) - shown))


def failures_of(batch: Batch) -> list[Failures]:
    """Return the failures of a batch's items and children by signature, in no order."""
    items = Item.objects.filter(batch=batch, signature__gt="").order_by().annotate(failed_at=F("finished_at"))
    of_items = _grouped(items, Count("child", distinct=True), of_items=True)
    children = Node.objects.filter(batch=batch, kind=NodeKind.CHILD, signature__gt="").order_by()
    of_children = _grouped(children.annotate(failed_at=F("closed_at")), Count("pk"), of_items=False)
    return _merged(of_items.union(of_children, all=True))


def failed_items(batch: Batch) -> QuerySet[Item]:
    """Return the items that fail now and have a signature, in no order."""
    return Item.objects.filter(batch=batch, status=NodeStatus.FAILED, signature__gt="").order_by()


def failing_children(batch: Batch, signature: str) -> QuerySet[Node]:
    """Return the children that fail now with a signature of their own, in no order."""
    children = Node.objects.filter(batch=batch, kind=NodeKind.CHILD, signature=signature, status__in=FAILURES)
    return children.order_by()


def children_with_error(batch: Batch, signature: str) -> Q:
    """Return a filter for the children that fail with a signature, or have an item that does."""
    of_items = failed_items(batch).filter(signature=signature)
    return Q(position__in=of_items.values("child")) | Q(signature=signature, status__in=FAILURES)


def _grouped(failed: Any, children: Count, *, of_items: bool) -> Any:
    """Group by signature and status; type and message are the alphabetically first."""
    return failed.values("signature", "status").annotate(
        number=Count("pk"),
        children=children,
        first=Min("failed_at"),
        last=Max("failed_at"),
        type=Min("error_type"),
        sample=Min("error_message"),
        of_items=Value(of_items),
    )


def _merged(rows: Iterable[dict[str, Any]]) -> list[Failures]:
    """Merge the rows of `_grouped`, one per status, by signature."""
    found = dict[tuple[str, bool], Failures]()
    for row in rows:
        of_items = bool(row["of_items"])
        failures = found.setdefault((row["signature"], of_items), Failures(row["signature"], of_items))
        if row["status"] in FAILURES:
            sample = Sample(row["type"], row["sample"], row["children"], row["first"], row["last"])
            failures.sample = failures.sample.joined(sample) if failures.sample is not None else sample
            failures.numbers["failed"] += row["number"]
        elif row["status"] in RETRIED:
            failures.numbers[RETRIED[row["status"]]] += row["number"]
    return [failures for failures in found.values() if failures.numbers]


def group_of(batch: Batch, failures: Failures, largest: int) -> ErrorGroup:
    """Return the group of some failures; `largest` is the number of the largest group."""
    sample = failures.sample or (_sample_item if failures.of_items else _sample_child)(batch, failures.signature)
    return ErrorGroup(
        signature=failures.signature,
        error_type=sample.error_type,
        template=template_of(sample.message),
        sample=sample.message,
        number=failures.number,
        children=sample.children,
        under_way=failures.numbers["under_way"],
        mended=failures.numbers["mended"],
        share=round(1000 * failures.number / largest),
        of_batch=failures.number / max(1, batch.item_count if failures.of_items else batch.child_count),
        first=sample.first,
        last=sample.last,
        of_items=failures.of_items,
    )


def _sample_item(batch: Batch, signature: str) -> Sample:
    """Return the error of an item that has failed before, and is completed or retried now."""
    item = Item.objects.filter(batch=batch, signature=signature).order_by("status", "index")[0]
    if item.error_type or not item.earlier:
        return Sample(item.error_type, item.error_message, first=item.finished_at, last=item.finished_at)
    earlier = item.earlier[-1]
    at = parse_datetime(earlier["at"]) if earlier["at"] else item.finished_at
    return Sample(earlier["type"], earlier["message"], first=at, last=at)


def _sample_child(batch: Batch, signature: str) -> Sample:
    """Return the error of a child's earlier attempt."""
    attempts = Attempt.objects.filter(node__batch=batch, node__signature=signature).exclude(error_type="")
    attempt = attempts.latest("number")
    return Sample(attempt.error_type, attempt.error_message, first=attempt.closed_at, last=attempt.closed_at)
