"""The pane of one node: its attempts and a page of its items. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.paginator import Page
from django.db.models import Case, Count, IntegerField, Value, When

from dashboard.models import Attempt, Item, Node, NodeStatus
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
