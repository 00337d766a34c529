"""The pane of one node: its attempts and a page of its items. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.paginator import Page
from django.db.models import Case, Count, IntegerField, QuerySet, Value, When

from dashboard.models import FAILURES, Attempt, Batch, Item, Node, NodeStatus
from dashboard.queries.step_results import StepOutcome, outcome_of
from dashboard.server.paging import page_of
from orchestration.contracts.events import NodeKind

ITEMS_PER_PAGE = 50
REASONS_SHOWN = 20

KINDS_WITH_RESULT = (NodeKind.STEP, NodeKind.SERVICE, NodeKind.ROLLBACK)

_BULKY = ("data", "result", "error_stack", "earlier")
"""Columns that a list of items does not read: each may be megabytes."""

_RANK = Case(
    When(status=NodeStatus.FAILED, then=Value(0)),
    When(status=NodeStatus.PENDING, then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)


@dataclass(frozen=True)
class NodeItems:
    """A page of a child's items, failures first. A single item has all its columns, several lack the large ones."""

    node: Node
    page: Page[Item]

    @property
    def only(self) -> Item | None:
        """The item of a child that has only one."""
        return self.page[0] if self.node.length == 1 and self.page else None


@dataclass(frozen=True)
class Pane:
    """One node with its attempts, the newest first, and the nodes above it, the root first, as `path`.

    A child has its items; a stage has the reasons why items did not reach the next one, each with their number; a step
    has its `result` where that is in the database.
    """

    node: Node
    attempts: Sequence[Attempt]
    items: NodeItems | None
    drop_reasons: Sequence[tuple[str, int]] = ()
    path: Sequence[Node] = ()
    result: StepOutcome | None = None

    @property
    def position(self) -> int:
        """The position from which the previous and the next failure are looked for; a parent's is before all."""
        return self.node.position if self.node.kind == NodeKind.CHILD else -1

    @property
    def failure_count(self) -> int:
        """Number of the batch's children that have failed."""
        return sum(self.node.batch.children[status.value] for status in FAILURES)

    @property
    def failure_number(self) -> int:
        """Its number among the failed children by position, from 1; 0 if it is none of them."""
        if self.node.kind != NodeKind.CHILD or self.node.status not in FAILURES:
            return 0
        return _failures(self.node.batch).filter(position__lte=self.node.position).count()


def items_of(node: Node, number: int) -> NodeItems:
    """Return a page of a child's items."""
    items = Item.objects.filter(batch=node.batch_id, child=node.position).order_by(_RANK, "index")
    if node.length > 1:
        items = items.defer(*_BULKY)
    return NodeItems(node, page_of(items, number, ITEMS_PER_PAGE, node.length))


def pane_of(node: Node, page: int) -> Pane:
    """Return the pane of a node; `page` is that of its items."""
    attempts = list(Attempt.objects.filter(node=node).order_by("-number"))
    if node.kind == NodeKind.STAGE:
        return Pane(node, attempts, None, _drop_reasons(node), _path(node))
    items = items_of(node, page) if node.kind == NodeKind.CHILD and node.length else None
    result = outcome_of(node) if node.kind in KINDS_WITH_RESULT else None
    return Pane(node, attempts, items, path=_path(node), result=result)


def failure_beside(batch: Batch, position: int, *, is_before: bool = False) -> Node | None:
    """Return the failed child next to a position, after it or before it; beyond the last comes the first, and so on."""
    beyond = {"position__lt" if is_before else "position__gt": position}
    order = "-position" if is_before else "position"
    for limits in (beyond, {}):
        found = [  # a query for each status: an index has them in order
            node
            for status in FAILURES
            if (node := _children(batch).filter(status=status, **limits).order_by(order).first())
        ]
        if found:
            return sorted(found, key=lambda node: node.position, reverse=is_before)[0]
    return None


def _children(batch: Batch) -> QuerySet[Node]:
    return Node.objects.filter(batch=batch, kind=NodeKind.CHILD)


def _failures(batch: Batch) -> QuerySet[Node]:
    return _children(batch).filter(status__in=FAILURES)


def _path(node: Node) -> list[Node]:
    """Return the nodes above one, the root first."""
    path = list[Node]()
    while (above := (path[0] if path else node).parent) is not None:
        path.insert(0, above)
    return path


def _drop_reasons(stage: Node) -> list[tuple[str, int]]:
    """Return why items of a stage did not reach the next, and how many for each reason, the most first."""
    items = Item.objects.filter(
        batch=stage.batch_id, index__gte=stage.offset, index__lt=stage.offset + stage.length
    ).order_by()
    dropped = items.exclude(dropped="").values_list("dropped").annotate(number=Count("pk"))
    failed = items.filter(status=NodeStatus.FAILED).values_list("error_type").annotate(number=Count("pk"))
    found = [*dropped, *((f"Failed: {kind}", number) for kind, number in failed)]
    return sorted(found, key=lambda each: -each[1])[:REASONS_SHOWN]
