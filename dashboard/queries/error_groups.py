"""Error groups: why items and children failed, those together that are one error to a person. Reads only.

Items are grouped by their own errors. Children are, too, where no item of theirs is to blame: timed out, terminated, or
not processed by us at all. A signature stays where it was once what failed is mended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Min, Q, QuerySet, Value
from django.utils.dateparse import parse_datetime

from dashboard.models import FAILURES, Attempt, Batch, Item, Node, NodeStatus
from orchestration.contracts.events import NodeKind
from orchestration.errors.signatures import template_of

SHOWN = 8
"""Groups, the largest first; how many more there are is said."""

RETRIED = {NodeStatus.PENDING: "under_way", NodeStatus.RUNNING: "under_way", NodeStatus.COMPLETED: "mended"}
"""What has failed before, by what became of it."""


@dataclass(frozen=True)
class ErrorGroup:
    """One error: how many have failed with it now, at how many children, since when, and what one of them says.

    `under_way` got another attempt and are not through yet, `mended` completed after it. `share` is of the largest
    group, from 0 to 1000; `of_batch` of the batch's items or children, from 0 to 1.
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
    """The largest groups, and how many there are beside them."""

    shown: Sequence[ErrorGroup]
    more: int = 0


@dataclass
class _Found:
    """A group as it is gathered, from one row of a query for each status."""

    signature: str
    of_items: bool
    failed: dict[str, Any] | None = None
    numbers: Counter[str] = field(default_factory=Counter)

    @property
    def number(self) -> int:
        return self.numbers["failed"]


def error_groups(batch: Batch) -> ErrorGroups:
    """Return the groups of a batch's failures as they are now, and of those that have been mended."""
    items = Item.objects.filter(batch=batch, signature__gt="").order_by().annotate(said_at=F("finished_at"))
    of_items = _grouped(items, Count("child", distinct=True), of_items=True)
    children = Node.objects.filter(batch=batch, kind=NodeKind.CHILD, signature__gt="").order_by()
    of_children = _grouped(children.annotate(said_at=F("closed_at")), Count("pk"), of_items=False)
    found = _merged_by_signature(of_items.union(of_children, all=True))
    found.sort(key=lambda each: (-each.number, -each.numbers.total()))
    most = max((each.number for each in found), default=0) or 1
    return ErrorGroups([_group(batch, each, most) for each in found[:SHOWN]], max(0, len(found) - SHOWN))


def failed_items(batch: Batch) -> QuerySet[Item]:
    """Return the items that have failed."""
    return Item.objects.filter(batch=batch, status=NodeStatus.FAILED, signature__gt="").order_by()


def children_with_error(batch: Batch, signature: str) -> Q:
    """Return what is true of the children with a failure of a group."""
    of_items = failed_items(batch).filter(signature=signature)
    return Q(position__in=of_items.values("child")) | Q(signature=signature, status__in=FAILURES)


def _grouped(failed: Any, children: Count, *, of_items: bool) -> Any:
    """Group failures by signature and status; what one of them says is the first by the alphabet."""
    return failed.values("signature", "status").annotate(
        number=Count("pk"),
        children=children,
        first=Min("said_at"),
        last=Max("said_at"),
        type=Min("error_type"),
        sample=Min("error_message"),
        of_items=Value(of_items),
    )


def _merged_by_signature(rows: Iterable[dict[str, Any]]) -> list[_Found]:
    """Return groups from rows of one status each."""
    found = dict[str, _Found]()
    for row in rows:
        is_of_items = bool(row["of_items"])
        key = f"{row['signature']} {is_of_items}"
        group = found.setdefault(key, _Found(row["signature"], is_of_items))
        if row["status"] in FAILURES:
            group.failed = _merged(group.failed, row) if group.failed else row
            group.numbers["failed"] += row["number"]
        elif row["status"] in RETRIED:
            group.numbers[RETRIED[row["status"]]] += row["number"]
    return [group for group in found.values() if group.numbers]


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return what was found of failures with one error, but different statuses."""
    return one | {
        "children": one["children"] + other["children"],
        "first": min(one["first"], other["first"]),
        "last": max(one["last"], other["last"]),
    }


def _group(batch: Batch, found: _Found, most: int) -> ErrorGroup:
    said = found.failed or (_sample_item(batch, found) if found.of_items else _sample_child(batch, found))
    return ErrorGroup(
        signature=found.signature,
        error_type=said["type"],
        template=template_of(said["sample"]),
        sample=said["sample"],
        number=found.number,
        children=said["children"],
        under_way=found.numbers["under_way"],
        mended=found.numbers["mended"],
        share=round(1000 * found.number / most),
        of_batch=found.number / max(1, batch.item_count if found.of_items else batch.child_count),
        first=said["first"],
        last=said["last"],
        of_items=found.of_items,
    )


def _sample_item(batch: Batch, found: _Found) -> dict[str, Any]:
    """Return what one item said that has failed so before, and is done or under way again."""
    item = Item.objects.filter(batch=batch, signature=found.signature).order_by("status", "index")[0]
    kept = {"type": item.error_type, "message": item.error_message, "at": None}
    said = kept if item.error_type or not item.earlier else item.earlier[-1]
    at = parse_datetime(said["at"]) if said["at"] else item.finished_at
    return {"type": said["type"], "sample": said["message"], "children": 0, "first": at, "last": at}


def _sample_child(batch: Batch, found: _Found) -> dict[str, Any]:
    """Return what one child's earlier attempt said."""
    run = (
        Attempt.objects.filter(node__batch=batch, node__signature=found.signature)
        .exclude(error_type="")
        .latest("number")
    )
    return {
        "type": run.error_type,
        "sample": run.error_message,
        "children": 0,
        "first": run.closed_at,
        "last": run.closed_at,
    }
