"""The order of a tree's rows, which of them are collapsed, and where in it a node is. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When

from dashboard.models import NOT_COMPLETED, PARENT_KINDS, Node, NodeStatus
from dashboard.queries.selection import ALL_CHILDREN, Selection
from orchestration.contracts.events import NodeKind
from orchestration.plan.choices import Execution

PAGE_SIZE = 100

SHORTEST_RUN = 10
"""So many children of one status, or fewer, are not collapsed beside failures."""

COLLAPSED_STATUSES = (NodeStatus.COMPLETED, NodeStatus.SKIPPED)
"""Statuses that children keep unless somebody retries them, so that a collapsed row stays true while a batch runs."""

SEQUENTIAL_KINDS = ("pipeline", "steps")
"""Kinds of definitions, as a batch's `processor` names them, whose rows below the root are in sequence."""

SORTED_AT_ONCE = 500
"""So many rows, or fewer, are sorted by the database; of more, those of each status are taken in an index's order."""

LONG_LIVED_KINDS = (NodeKind.POOL_WORKER, NodeKind.ENTITY)
"""Nodes beside the children that they process, listed before them."""

_LONG_LIVED_RANK = -1
_LAST = 11
_RANKS = {status: rank for rank, status in enumerate((*NOT_COMPLETED, NodeStatus.RUNNING))} | {NodeStatus.PENDING: 10}

_NONE_FAILED = Q(**{f"children_{status.value}": 0 for status in NOT_COMPLETED})
"""Of a parent: that no child below it has failed or was canceled."""

_RANK = Case(
    When(~_NONE_FAILED, kind=NodeKind.PARENT, then=Value(0)),
    When(kind__in=LONG_LIVED_KINDS, then=Value(_LONG_LIVED_RANK)),
    *[When(status=status, then=Value(rank)) for status, rank in _RANKS.items()],
    default=Value(_LAST),
    output_field=IntegerField(),
)
_PARTITION_RANK = Case(
    When(_NONE_FAILED, then=Value(1)),
    default=Value(0),
    output_field=IntegerField(),
)
_IN_SEQUENCE = Case(default=Value(0), output_field=IntegerField())


def rows_below(parent: Node) -> QuerySet[Node]:
    """Return the rows below a root or a parent: failures first, then by position. Each has a `rank`.

    Stages and steps are in sequence. Below a stage are its children, of all its partitions together.
    """
    below, rank = Node.objects.filter(parent=parent), _RANK
    if parent.kind == NodeKind.STAGE:
        below = Node.objects.filter(Q(parent=parent) | Q(parent__parent=parent), kind=NodeKind.CHILD)
    elif parent.kind == NodeKind.ROOT and parent.batch.partition_count:
        rank = _PARTITION_RANK
    elif parent.kind == NodeKind.ROOT and parent.batch.processor in SEQUENTIAL_KINDS:
        rank = _IN_SEQUENCE
    return below.annotate(rank=rank).order_by("rank", "position")


@dataclass(frozen=True)
class InParts(Sequence[Node]):
    """Rows in parts, each with their number: a page reads only from the parts that it has rows of."""

    parts: Sequence[tuple[QuerySet[Node], int]]

    def __len__(self) -> int:
        """Return the number of rows of all parts."""
        return sum(number for _, number in self.parts)

    @overload
    def __getitem__(self, place: int) -> Node: ...
    @overload
    def __getitem__(self, place: slice) -> list[Node]: ...
    def __getitem__(self, place: int | slice) -> Node | list[Node]:
        """Return some rows, or one."""
        if isinstance(place, int):
            return self[place : place + 1][0]
        start, stop, _ = place.indices(len(self))
        found = list[Node]()
        for rows, number in self.parts:
            if start < number and stop > 0:
                found += rows[max(start, 0) : min(stop, number)]
            start, stop = start - number, stop - number
        return found


def sorted_rows(parent: Node, collapsed: Collapsed) -> QuerySet[Node] | InParts:
    """Return the rows below a root or a parent that are shown one by one, in the order of `rows_below`.

    To sort 100,000 children by status takes the database a tenth of a second.
    """
    rows, batch = collapsed.others(rows_below(parent)), parent.batch
    is_flat = parent.kind == NodeKind.ROOT and batch.is_laid_out and not batch.partition_count
    if not is_flat or batch.child_count <= SORTED_AT_ONCE or batch.processor in SEQUENTIAL_KINDS:
        return rows
    if _long_lived_count(parent):
        return rows
    rest = [status for status in NodeStatus if status not in _RANKS and status not in collapsed.numbers]
    parts = [*([status] for status in _RANKS), rest]
    return InParts(
        [
            (rows.filter(status__in=statuses).order_by("position"), number)
            for statuses in parts
            if (number := sum(batch.children[status.value] for status in statuses))
        ]
    )


def _rank_below(parent: Node, node: Node) -> int:
    """Return a node's rank in `rows_below`, without asking the database."""
    has_failures = any(node.children[status.value] for status in NOT_COMPLETED)
    if parent.kind == NodeKind.ROOT and parent.batch.partition_count:
        return 0 if has_failures else 1
    if parent.kind == NodeKind.ROOT and parent.batch.processor in SEQUENTIAL_KINDS:
        return 0
    if node.kind == NodeKind.PARENT and has_failures:
        return 0
    return _LONG_LIVED_RANK if node.kind in LONG_LIVED_KINDS else _RANKS.get(NodeStatus(node.status), _LAST)


def selected_rows(root: Node, selection: Selection) -> QuerySet[Node]:
    """Return the selected children, wherever they are in the tree: failures first. Each has a `rank`."""
    children = selection.children(root.batch)
    if selection.status:  # by position alone: an index has them in this order
        return children.annotate(rank=_IN_SEQUENCE).order_by("position")
    return children.annotate(rank=_RANK).order_by("rank", "position")


def number_below(parent: Node) -> int:
    """Return the number of rows below a root or a parent, from tallies where there are any."""
    if parent.kind == NodeKind.PARENT or (parent.kind == NodeKind.ROOT and not parent.batch.is_laid_out):
        return Node.objects.filter(parent=parent).count()
    if parent.kind == NodeKind.ROOT:
        return (parent.batch.partition_count or parent.batch.child_count) + _long_lived_count(parent)
    return sum(parent.children.values())


def _long_lived_count(root: Node) -> int:
    """Return the number of a batch's pool workers or entities."""
    has_some = root.batch.plan_data.get("execution") in (Execution.POOL, Execution.ENTITIES)
    return Node.objects.filter(parent=root, kind__in=LONG_LIVED_KINDS).count() if has_some else 0


@dataclass(frozen=True)
class Collapsed:
    """Runs of children of one status below a node, as {status: number}, shown as one row each behind `ahead` rows."""

    numbers: Mapping[NodeStatus, int]
    ahead: int = 0

    @property
    def page(self) -> int:
        """The page of the other rows that shows them."""
        return (self.ahead - 1) // PAGE_SIZE + 1

    @property
    def number(self) -> int:
        """How many children they have."""
        return sum(self.numbers.values())

    def others(self, rows: QuerySet[Node]) -> QuerySet[Node]:
        """Return the rows that are shown one by one."""
        return rows.exclude(kind=NodeKind.CHILD, status__in=list(self.numbers)) if self.numbers else rows


NOTHING_COLLAPSED = Collapsed({})


def collapsed_below(parent: Node) -> Collapsed:
    """Return what is collapsed below a node: long runs of one status, so that failures are not lost among them."""
    is_root = parent.kind == NodeKind.ROOT
    batch = parent.batch
    if parent.kind == NodeKind.PARENT or (
        is_root and (not batch.is_laid_out or batch.partition_count or batch.processor in SEQUENTIAL_KINDS)
    ):
        return NOTHING_COLLAPSED
    counts = batch.children if is_root else parent.children
    failures = sum(counts[status.value] for status in NOT_COMPLETED)
    if not failures:
        return NOTHING_COLLAPSED
    long = {status: counts[status.value] for status in COLLAPSED_STATUSES if counts[status.value] > SHORTEST_RUN}
    return Collapsed(long, failures + (_long_lived_count(parent) if is_root else 0)) if long else NOTHING_COLLAPSED


@dataclass(frozen=True)
class Place:
    """Where a tree shows a node: below which expanded parent, in which collapsed run, on which page."""

    page: int = 1
    opened: int | None = None
    run: NodeStatus | None = None
    selection: Selection = ALL_CHILDREN
    parent: Node | None = None
    """What is `opened`, where it is already known."""


def place_of(root: Node, node: Node, selection: Selection) -> Place:
    """Return where a tree shows a node: among the selected children if it is one, or else among all."""
    row = _row_of(node)
    if selection.is_narrow and (selected := selected_rows(root, selection)).filter(pk=row.pk).exists():
        rank = 0 if selection.status else _RANKS.get(NodeStatus(row.status), _LAST)
        return Place(_before(selected, rank, row) // PAGE_SIZE + 1, selection=selection)
    parent = row.parent
    if parent is None:
        return Place()
    if parent.kind == NodeKind.PARTITION and parent.parent and parent.parent.kind == NodeKind.STAGE:
        parent = parent.parent
    parent.batch = root.batch
    opened = None if parent.kind == NodeKind.ROOT else parent
    rows, collapsed = rows_below(parent), collapsed_below(parent)
    status = NodeStatus(row.status)
    if row.kind == NodeKind.CHILD and status in collapsed.numbers:
        ahead = rows.filter(kind=NodeKind.CHILD, status=status, position__lt=row.position).count()
        return Place(ahead // PAGE_SIZE + 1, run=status, parent=opened)
    page = _before(collapsed.others(rows), _rank_below(parent, row), row) // PAGE_SIZE + 1
    return Place(page, parent=opened)


def place_below(root: Node, parent: Node) -> int:
    """Return the page of the rows below the root that a parent directly below it is on."""
    return _before(rows_below(root), _rank_below(root, parent), parent) // PAGE_SIZE + 1


def _row_of(node: Node) -> Node:
    """Return the node whose row a page counts: a nested row, such as a rollback, is where what it belongs to is."""
    while node.parent is not None and node.parent.kind not in (NodeKind.ROOT, *PARENT_KINDS):
        node = node.parent
    return node


def _before(rows: QuerySet[Node, Any], rank: int, node: Node) -> int:
    """Return how many rows are before a node with a rank."""
    return rows.filter(Q(("rank__lt", rank)) | Q(("rank", rank), position__lt=node.position)).count()
