"""What the pane of one node shows: its attempts and a page of its items. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from django.db.models import Case, Count, IntegerField, Value, When

from dashboard.models import Attempt, Item, Node, NodeStatus
from orchestration.contracts.events import NodeKind

ITEMS_PER_PAGE = 50
REASONS_SHOWN = 20

_BULKY = ("data", "result", "error_stack", "earlier")
"""Not read for a list of items: each may be megabytes."""

_RANK = Case(
    When(status=NodeStatus.FAILED, then=Value(0)),
    When(status=NodeStatus.PENDING, then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)


@dataclass(frozen=True)
class ItemPage:
    """A page of a child's items, failures first. A single item comes whole, of several only the outlines."""

    node: Node
    items: Sequence[Item]
    page: int

    @property
    def pages(self) -> int:
        """Number of pages, at least 1."""
        return max(1, ceil(self.node.length / ITEMS_PER_PAGE))

    @property
    def first(self) -> int:
        """Number of the first item on this page, from 1."""
        return (self.page - 1) * ITEMS_PER_PAGE + 1

    @property
    def last(self) -> int:
        """Number of the last item on this page."""
        return min(self.page * ITEMS_PER_PAGE, self.node.length)

    @property
    def previous(self) -> int:
        """The page before, or 0."""
        return self.page - 1

    @property
    def next(self) -> int:
        """The page after, or 0."""
        return self.page + 1 if self.page < self.pages else 0

    @property
    def only(self) -> Item | None:
        """The item of a child that has just one."""
        return self.items[0] if self.node.length == 1 and self.items else None


@dataclass(frozen=True)
class Pane:
    """One node: attempts newest first; for a child its items, for a stage why items went no further, and how many.

    `path` are the nodes above it, the root first.
    """

    node: Node
    attempts: Sequence[Attempt]
    items: ItemPage | None
    left: Sequence[tuple[str, int]] = ()
    path: Sequence[Node] = ()


def items_of(node: Node, page: int) -> ItemPage:
    """Return a page of a child's items."""
    page = min(max(page, 1), max(1, ceil(node.length / ITEMS_PER_PAGE)))
    items = Item.objects.filter(batch=node.batch_id, child=node.position).order_by(_RANK, "index")
    if node.length > 1:
        items = items.defer(*_BULKY)
    first = (page - 1) * ITEMS_PER_PAGE
    return ItemPage(node, list(items[first : first + ITEMS_PER_PAGE]), page)


def pane_of(node: Node, page: int) -> Pane:
    """Return what the pane of a node shows."""
    attempts = list(Attempt.objects.filter(node=node).order_by("-number"))
    if node.kind == NodeKind.STAGE:
        return Pane(node, attempts, None, _left(node), _path(node))
    items = items_of(node, page) if node.kind == NodeKind.CHILD and node.length else None
    return Pane(node, attempts, items, path=_path(node))


def _path(node: Node) -> list[Node]:
    """Return the nodes above one, the root first."""
    path = list[Node]()
    while (above := (path[0] if path else node).parent) is not None:
        path.insert(0, above)
    return path


def _left(stage: Node) -> list[tuple[str, int]]:
    """Return why items of a stage went no further, and how many for each reason, the most first."""
    items = Item.objects.filter(
        batch=stage.batch_id, index__gte=stage.offset, index__lt=stage.offset + stage.length
    ).order_by()
    dropped = items.exclude(dropped="").values_list("dropped").annotate(number=Count("pk"))
    failed = items.filter(status=NodeStatus.FAILED).values_list("error_type").annotate(number=Count("pk"))
    found = [*dropped, *((f"Failed: {kind}", number) for kind, number in failed)]
    return sorted(found, key=lambda each: -each[1])[:REASONS_SHOWN]
