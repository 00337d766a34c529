"""The tree of a batch: which rows are shown, and in which order. Reads only; a page costs the same at any size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

from django.core.paginator import Page
from django.db.models import Case, IntegerField, Q, Value, When
from django.utils import timezone

from dashboard.models import BY_INTEREST, NOT_COMPLETED, PARENT_KINDS, Batch, Node, NodeStatus
from dashboard.queries.selection import ALL_CHILDREN, Selection
from dashboard.server.paging import page_of
from orchestration.contracts.events import NodeKind
from orchestration.plan.choices import Execution

PAGE_SIZE = 100
BAR_WIDTH = 1000
NARROWEST = 12
NESTED_LIMIT = 1_000
"""Nested rows on one page, at most: a workflow that an item starts may start any number of others."""

DEEPEST_EXPANDED = 3
"""Level of the deepest rows that are expanded in place; below them a page of its own shows the path from the root."""

SEQUENTIAL_KINDS = ("pipeline", "steps")
"""Kinds of definitions, as a batch's `processor` names them, whose rows below the root are in sequence."""

LONG_LIVED_KINDS = (NodeKind.POOL_WORKER, NodeKind.ENTITY)
"""Nodes beside the children that they process, listed before them."""

_RANK = Case(
    When(kind__in=LONG_LIVED_KINDS, then=Value(-1)),
    *[When(status=status, then=Value(rank)) for rank, status in enumerate((*NOT_COMPLETED, NodeStatus.RUNNING))],
    When(status=NodeStatus.PENDING, then=Value(10)),
    default=Value(11),
    output_field=IntegerField(),
)
_PARTITION_RANK = Case(
    When(children_failed=0, children_timed_out=0, children_terminated=0, children_canceled=0, then=Value(1)),
    default=Value(0),
    output_field=IntegerField(),
)


_IN_SEQUENCE = Case(default=Value(0), output_field=IntegerField())


@dataclass(frozen=True)
class TreeRow:
    """A node as a row. `start` and `bar` are its start and duration on the page's time axis, which is BAR_WIDTH long.

    An expanded row has the rows `below`. A row on the path to what is shown `is_open`. `nested` rows are always shown
    below it, such as the rollback of a child.
    """

    node: Node
    level: int
    position: int
    start: int
    bar: int
    below: Branch | None = None
    is_open: bool = False
    nested: Sequence[TreeRow] = ()


@dataclass(frozen=True)
class Branch:
    """A page of the rows below a node, or of the selected children of the batch."""

    parent: Node
    rows: Sequence[TreeRow]
    page: Page[Node]
    selection: Selection = ALL_CHILDREN
    level: int = 2

    @property
    def total(self) -> int:
        """Number of rows on all pages."""
        return self.page.paginator.count

    @property
    def is_part(self) -> bool:
        """Whether it belongs to an expandable row and is swapped alone; any other is swapped with the whole tree."""
        return self.parent.has_tallies and not self.is_deep

    @property
    def is_deep(self) -> bool:
        """Whether it is shown below a path from the root."""
        return self.level > DEEPEST_EXPANDED

    def _query(self, page: int) -> str:
        parts: dict[str, object] = {"open": self.parent.pk} if self.parent.has_tallies else {}
        query = urlencode(parts | ({"page": page} if page > 1 else {}))
        return "&".join(part for part in (self.selection.query, query) if part)

    @property
    def previous(self) -> str:
        """Query string of the page before, or nothing."""
        return f"?{self._query(self.page.number - 1)}" if self.page.has_previous() else ""

    @property
    def next(self) -> str:
        """Query string of the page after, or nothing."""
        return f"?{self._query(self.page.number + 1)}" if self.page.has_next() else ""


@dataclass(frozen=True)
class Tree:
    """The root and the branch shown below it; with a `path` down from the root, below its last row."""

    root: TreeRow
    branch: Branch
    path: Sequence[TreeRow] = ()

    @property
    def is_folded(self) -> bool:
        """Whether the rows below the root are partitions or stages, which can be expanded."""
        is_part = self.branch.selection.is_narrow or self.path
        return not is_part and any(row.node.kind in PARENT_KINDS for row in self.branch.rows)

    @property
    def chips(self) -> list[tuple[str, str, int]]:
        """Filters by status, failures first: value, label, number of children."""
        numbers = self.root.node.batch.children
        return [(status.value, str(status.label), numbers[status.value]) for status in BY_INTEREST]


def _of_batch(batch: Batch, nodes: Iterable[Node]) -> list[Node]:
    """Return nodes with their batch, whose status their own depends on."""
    found = list(nodes)
    for node in found:
        node.batch = batch
    return found


def _bars(nodes: Sequence[Node], now: datetime) -> list[tuple[int, int]]:
    """Return start and length of each node on a common time axis; (0, 0) for one that has not started."""
    begin = min((node.started_at for node in nodes if node.started_at), default=now)
    ran = [((node.started_at or begin) - begin).total_seconds() for node in nodes]
    took = [elapsed_seconds(node, now) for node in nodes]
    whole = max((start + length for start, length in zip(ran, took, strict=True)), default=0.0) or 1.0
    return [
        (
            min(round(BAR_WIDTH * start / whole), BAR_WIDTH - NARROWEST),
            max(NARROWEST, round(BAR_WIDTH * length / whole)),
        )
        if node.started_at
        else (0, 0)
        for node, start, length in zip(nodes, ran, took, strict=True)
    ]


def elapsed_seconds(node: Node, now: datetime) -> float:
    """Return the duration of the newest attempt, so far if it is running; 0 before it started."""
    return node.elapsed(now) or 0.0


def _rows(nodes: Sequence[Node], level: int, first: int = 1, opened: Branch | None = None) -> list[TreeRow]:
    now = timezone.now()
    bars = _bars(nodes, now)
    nested = _nested(nodes, level)
    return [
        TreeRow(
            node=node,
            level=level,
            position=first + place,
            start=bars[place][0],
            bar=bars[place][1],
            below=opened if opened and opened.parent.pk == node.pk else None,
            nested=nested.get(node.pk, ()),
        )
        for place, node in enumerate(nodes)
    ]


def _nested(nodes: Sequence[Node], level: int) -> dict[int, list[TreeRow]]:
    """Return the nested rows of nodes, recursively: {node id: rows}."""
    above = [node.pk for node in nodes if node.kind not in (NodeKind.ROOT, *PARENT_KINDS)]
    nodes_below = Node.objects.filter(parent__in=above).order_by("position", "pk")[:NESTED_LIMIT]
    below = _of_batch(nodes[0].batch, nodes_below) if above else []
    further = _nested(below, level + 1) if below else {}
    found, now = defaultdict[int, list[TreeRow]](list), timezone.now()
    for node in below:
        rows = found[node.parent_id or 0]
        bar = BAR_WIDTH if elapsed_seconds(node, now) else 0
        rows.append(TreeRow(node, level + 1, len(rows) + 1, 0, bar, nested=further.get(node.pk, ())))
    return found


def _number_below(parent: Node) -> int:
    """Return the number of rows of a branch, from tallies where there are any; a root's are its batch's."""
    if parent.kind == NodeKind.PARENT or (parent.kind == NodeKind.ROOT and not parent.batch.is_laid_out):
        return Node.objects.filter(parent=parent).count()
    if parent.kind == NodeKind.ROOT:
        return (parent.batch.partition_count or parent.batch.child_count) + _long_lived_count(parent)
    return sum(parent.children.values())


def _long_lived_count(root: Node) -> int:
    """Return the number of a batch's pool workers or entities."""
    has_some = root.batch.plan_data.get("execution") in (Execution.POOL, Execution.ENTITIES)
    return Node.objects.filter(parent=root, kind__in=LONG_LIVED_KINDS).count() if has_some else 0


def branch_of(parent: Node, page: int, opened: Branch | None = None, level: int = 0) -> Branch:
    """Return a page of the rows below a root or a parent: failures first, then by position.

    Stages and steps are in sequence. Below a stage are its children, of all its partitions together.
    """
    partitioned = parent.kind == NodeKind.ROOT and parent.batch.partition_count > 0
    rank = _PARTITION_RANK if partitioned else _RANK
    below = Node.objects.filter(parent=parent)
    if parent.kind == NodeKind.STAGE:
        below = Node.objects.filter(Q(parent=parent) | Q(parent__parent=parent), kind=NodeKind.CHILD)
    elif parent.kind == NodeKind.ROOT and parent.batch.processor in SEQUENTIAL_KINDS:
        rank = _IN_SEQUENCE
    nodes = page_of(below.order_by(rank, "position"), page, PAGE_SIZE, _number_below(parent))
    level = level or (DEEPEST_EXPANDED if parent.has_tallies else 2)
    return Branch(parent, _rows(_of_batch(parent.batch, nodes), level, nodes.start_index(), opened), nodes, level=level)


def selected_branch(root: Node, selection: Selection, page: int) -> Branch:
    """Return a page of the selected children, wherever they are in the tree: failures first."""
    order = ("position",) if selection.status else (_RANK, "position")
    children = selection.children(root.batch).order_by(*order)
    nodes = page_of(children, page, PAGE_SIZE, selection.number(root.batch))
    return Branch(root, _rows(_of_batch(root.batch, nodes), 2, nodes.start_index()), nodes, selection)


def tree_of(batch: Batch, *, selection: Selection, page: int, opened: int | None) -> Tree:
    """Return the tree of a batch: the selected children, or all rows with one parent (`opened`, a node's id) expanded.

    `page` is that of the selected children, else of the expanded parent, else of the rows below the root.
    """
    [root] = _of_batch(batch, Node.objects.filter(batch=batch, kind=NodeKind.ROOT))
    if selection.is_narrow:
        branch = selected_branch(root, selection, page)
    elif opened and (below := Node.objects.filter(batch=batch, kind__in=PARENT_KINDS, pk=opened)):
        [partition] = _of_batch(batch, below)
        if path := _path(root, partition):
            return Tree(_rows([root], 1)[0], branch_of(partition, page, level=len(path) + 2), path)
        branch = branch_of(root, _page_of_partition(root, partition), branch_of(partition, page))
    else:
        branch = branch_of(root, page)
    return Tree(_rows([root], 1)[0], branch)


def _path(root: Node, opened: Node) -> list[TreeRow]:
    """Return the rows from below the root down to a parent; none if it is directly below the root."""
    nodes = [opened]
    while nodes[0].parent_id != root.pk and (above := nodes[0].parent) is not None:
        nodes.insert(0, above)
    if len(nodes) == 1:
        return []
    shown = enumerate(_of_batch(root.batch, nodes), start=2)
    return [replace(_rows([node], level)[0], is_open=True) for level, node in shown]


def _page_of_partition(root: Node, partition: Node) -> int:
    """Return the page of the root's branch that an expanded row is on."""
    if partition.kind == NodeKind.PARENT:
        below = Node.objects.filter(parent=root).order_by(_RANK, "position").values_list("pk", flat=True)
        return list(below).index(partition.pk) // PAGE_SIZE + 1
    if partition.kind == NodeKind.STAGE:
        return Node.objects.filter(parent=root, position__lt=partition.position).count() // PAGE_SIZE + 1
    before = Node.objects.filter(parent=root).annotate(rank=_PARTITION_RANK)
    failing = any(partition.children[status.value] for status in NOT_COMPLETED)
    ahead = before.filter(rank=0 if failing else 1, position__lt=partition.position).count()
    ahead += 0 if failing else before.filter(rank=0).count()
    return ahead // PAGE_SIZE + 1
