"""The tree of a batch: which rows are shown, and in which order. Reads only; a page costs the same at any size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

from django.core.paginator import Page
from django.utils import timezone

from dashboard.models import PARENT_KINDS, SHOWN_BY_INTEREST, Batch, Node, NodeStatus
from dashboard.queries.selection import ALL_CHILDREN, Selection
from dashboard.queries.tree_order import (
    PAGE_SIZE,
    Place,
    collapsed_below,
    number_below,
    place_below,
    place_of,
    rows_below,
    selected_rows,
    sorted_rows,
)
from dashboard.server.paging import page_of
from orchestration.contracts.events import NodeKind

BAR_WIDTH = 1000
NARROWEST = 12
NESTED_LIMIT = 1_000
"""Nested rows on one page, at most: a workflow that an item starts may start any number of others."""

DEEPEST_EXPANDED = 3
"""Level of the deepest rows that are expanded in place; below them a page of its own shows the path from the root."""


@dataclass(frozen=True)
class TreeRow:
    """A node as a row. `start` and `bar` are its start and duration on the page's time axis, which is BAR_WIDTH long.

    An expanded row has the rows `below`. A row on the path to what is shown `is_open`. `nested` rows are always shown
    below it, such as the rollback of a child; `runs` are the collapsed rows that follow it.
    """

    node: Node
    level: int
    position: int
    start: int
    bar: int
    below: Branch | None = None
    is_open: bool = False
    nested: Sequence[TreeRow] = ()
    runs: Sequence[Run] = ()

    @property
    def id(self) -> str:
        """Its node's id, as text: a template would write a number with separators."""
        return str(self.node.pk)

    @property
    def is_expanded(self) -> bool | None:
        """Whether the rows below it are shown; None where it cannot be expanded."""
        if self.node.kind == NodeKind.ROOT:
            return True
        return bool(self.below or self.is_open) if self.node.has_tallies else None


@dataclass(frozen=True)
class Run:
    """Children of one status below a node, collapsed to one row, or expanded with the rows `below`."""

    parent: Node
    status: NodeStatus
    number: int
    level: int
    below: Branch | None = None

    @property
    def id(self) -> str:
        """Its id on a page."""
        return f"{self.parent.pk}-{self.status.value}"

    @property
    def query(self) -> str:
        """Query string of the tree in which it is expanded, without a question mark."""
        opened = {"open": self.parent.pk} if self.parent.has_tallies else {}
        return urlencode(opened | {"run": self.status.value})


@dataclass(frozen=True)
class Branch:
    """A page of the rows below a node, or of the selected children of the batch."""

    parent: Node
    rows: Sequence[TreeRow]
    page: Page[Node]
    selection: Selection = ALL_CHILDREN
    level: int = 2
    run: NodeStatus | None = None

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
        run = {"run": self.run.value} if self.run else {}
        query = urlencode(parts | run | ({"page": page} if page > 1 else {}))
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
        numbers = self.root.node.shown_children
        return [(status.value, str(status.label), numbers[status.value]) for status in SHOWN_BY_INTEREST]


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


def branch_of(
    parent: Node, page: int, opened: Branch | None = None, level: int = 0, run: NodeStatus | None = None
) -> Branch:
    """Return a page of the rows below a root or a parent, in the order of `tree_order`.

    With a `run` that is collapsed there, it is expanded, and the page is its own.
    """
    level = level or (DEEPEST_EXPANDED if parent.has_tallies else 2)
    collapsed = collapsed_below(parent)
    expanded = run_of(parent, run, page, level) if run in collapsed.numbers else None
    total = number_below(parent) - collapsed.number
    nodes = page_of(sorted_rows(parent, collapsed), collapsed.page if expanded else page, PAGE_SIZE, total)
    shown = _rows(_of_batch(parent.batch, nodes), level, nodes.start_index(), opened)
    last = collapsed.ahead - nodes.start_index()
    if collapsed.numbers and 0 <= last < len(shown):
        shown[last] = replace(shown[last], runs=_runs(parent, collapsed.numbers, level, expanded))
    return Branch(parent, shown, nodes, level=level)


def run_of(parent: Node, run: NodeStatus | None, page: int, level: int = 0) -> Branch:
    """Return a page of the children of one status below a parent, by position."""
    assert run
    level = level or (DEEPEST_EXPANDED if parent.has_tallies else 2)
    counts = parent.batch.children if parent.kind == NodeKind.ROOT else parent.children
    rows = rows_below(parent).filter(kind=NodeKind.CHILD, status=run)
    nodes = page_of(rows, page, PAGE_SIZE, counts[run.value])
    return Branch(
        parent, _rows(_of_batch(parent.batch, nodes), level + 1, nodes.start_index()), nodes, level=level + 1, run=run
    )


def _runs(parent: Node, numbers: Mapping[NodeStatus, int], level: int, expanded: Branch | None) -> list[Run]:
    return [
        Run(parent, status, number, level, expanded if expanded and expanded.run == status else None)
        for status, number in numbers.items()
    ]


def selected_branch(root: Node, selection: Selection, page: int) -> Branch:
    """Return a page of the selected children, wherever they are in the tree: failures first."""
    nodes = page_of(selected_rows(root, selection), page, PAGE_SIZE, selection.number(root.batch))
    return Branch(root, _rows(_of_batch(root.batch, nodes), 2, nodes.start_index()), nodes, selection)


def tree_of(batch: Batch, place: Place, around: Node | None = None) -> Tree:
    """Return the tree of a batch: the selected children, or all rows with one parent or collapsed run expanded.

    The page is that of the selected children, else of what is expanded, else of the rows below the root. The page
    that shows the node `around` is preferred to the place.
    """
    [root] = _of_batch(batch, Node.objects.filter(batch=batch, kind=NodeKind.ROOT))
    if around:
        place = place_of(root, around, place.selection)
    if place.selection.is_narrow:
        branch = selected_branch(root, place.selection, place.page)
    elif parent := place.parent or _opened(batch, place.opened):
        if path := _path(root, parent):
            deep = branch_of(parent, place.page, level=len(path) + 2, run=place.run)
            return Tree(_rows([root], 1)[0], deep, path)
        branch = branch_of(root, place_below(root, parent), branch_of(parent, place.page, run=place.run))
    else:
        branch = branch_of(root, place.page, run=place.run)
    return Tree(_rows([root], 1)[0], branch)


def _opened(batch: Batch, pk: int | None) -> Node | None:
    """Return the parent that is to be expanded."""
    found = Node.objects.filter(batch=batch, kind__in=PARENT_KINDS, pk=pk) if pk else []
    return next(iter(_of_batch(batch, found)), None)


def _path(root: Node, opened: Node) -> list[TreeRow]:
    """Return the rows from below the root down to a parent; none if it is directly below the root."""
    nodes = [opened]
    while nodes[0].parent_id != root.pk and (above := nodes[0].parent) is not None:
        nodes.insert(0, above)
    if len(nodes) == 1:
        return []
    shown = enumerate(_of_batch(root.batch, nodes), start=2)
    return [replace(_rows([node], level)[0], is_open=True) for level, node in shown]
