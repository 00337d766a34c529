"""Error groups: why items and children failed, those together that are one error to a person. Reads only.

Items are grouped by their own errors. Children are, too, where no item of theirs is to blame: timed out, terminated, or
not processed by us at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Min, QuerySet

from dashboard.models import Batch, Item, Node, NodeStatus
from orchestration.contracts import NodeKind
from orchestration.signatures import template_of

SHOWN = 8
"""Groups, the largest first; how many more there are is said."""

FAILURES = (NodeStatus.FAILED, NodeStatus.TIMED_OUT, NodeStatus.TERMINATED)


@dataclass(frozen=True)
class ErrorGroup:
    """One error: how often, at how many children, since when, and what one of them says. `share` is from 0 to 1000."""

    signature: str
    error_type: str
    template: str
    sample: str
    number: int
    children: int
    share: int
    first: datetime | None
    last: datetime | None
    of_items: bool


@dataclass(frozen=True)
class ErrorGroups:
    """The largest groups, and how many there are beside them."""

    shown: Sequence[ErrorGroup]
    more: int = 0


def error_groups(batch: Batch) -> ErrorGroups:
    """Return the groups of a batch's failures as they are now."""
    found: list[dict[str, Any]] = []
    if batch.items_failed:
        items = failed_items(batch).annotate(said_at=F("finished_at"))
        found += _grouped(items, Count("child", distinct=True), of_items=True)
    if sum(batch.children[status.value] for status in FAILURES):
        children = failed_children(batch).annotate(said_at=F("closed_at"))
        found += _grouped(children, Count("pk"), of_items=False)
    found.sort(key=lambda each: -each["number"])
    most = max((each["number"] for each in found), default=1)
    return ErrorGroups([_group(each, most) for each in found[:SHOWN]], max(0, len(found) - SHOWN))


def failed_items(batch: Batch) -> QuerySet[Item]:
    """Return the items that have failed."""
    return Item.objects.filter(batch=batch, status=NodeStatus.FAILED).exclude(signature="").order_by()


def failed_children(batch: Batch) -> QuerySet[Node]:
    """Return the children that have failed for a reason of their own."""
    return Node.objects.filter(batch=batch, kind=NodeKind.CHILD, status__in=FAILURES).exclude(signature="").order_by()


def children_with(batch: Batch, signature: str) -> list[int]:
    """Return the positions of the children with a failure of a group."""
    of_items = failed_items(batch).filter(signature=signature).values_list("child", flat=True).distinct()
    own = failed_children(batch).filter(signature=signature).values_list("position", flat=True)
    return sorted({*of_items, *own})


def _grouped(failed: Any, children: Count, *, of_items: bool) -> list[dict[str, Any]]:
    """Group failures in one query; what one of them says is the first by the alphabet."""
    grouped = failed.values("signature").annotate(
        number=Count("pk"),
        children=children,
        first=Min("said_at"),
        last=Max("said_at"),
        type=Min("error_type"),
        sample=Min("error_message"),
    )
    return [each | {"of_items": of_items} for each in grouped]


def _group(each: dict[str, Any], most: int) -> ErrorGroup:
    return ErrorGroup(
        signature=each["signature"],
        error_type=each["type"],
        template=template_of(each["sample"]),
        sample=each["sample"],
        number=each["number"],
        children=each["children"],
        share=round(1000 * each["number"] / most),
        first=each["first"],
        last=each["last"],
        of_items=each["of_items"],
    )
