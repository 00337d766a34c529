"""Contexts of the batch page's tabs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.http import HttpRequest
from pydantic import BaseModel

from dashboard.forms.shown_values import shown_values
from dashboard.models import Batch, Node, NodeStatus
from dashboard.queries.batch_summary import Summary, summary_of
from dashboard.queries.node_pane import Pane
from dashboard.queries.selection import Selection
from dashboard.queries.tree import Tree, tree_of
from dashboard.queries.tree_order import Place
from dashboard.retention.rules import Decision, Policy
from dashboard.retention.weight import Weight, weight_of
from dashboard.server.requests import page_number, whole_number
from orchestration.plan.plan import Plan
from orchestration.processors.catalogue import processors, shown_parameters


@dataclass(frozen=True)
class TreeQuery:
    """Which part of a tree is requested: a selection, an expanded parent or run, a page. Invalid values are ignored.

    The rows of an expanded parent or run are fetched alone, unless the `whole` tree is requested. `around` is the id of
    a node whose page is requested.
    """

    selection: Selection
    opened: int | None
    page: int
    whole: bool = False
    run: NodeStatus | None = None
    around: int | None = None

    @classmethod
    def of(cls, request: HttpRequest) -> TreeQuery:
        """Read it from a query string."""
        return cls(
            selection=Selection.of(request.GET.dict()),
            opened=whole_number(request.GET.get("open", ""), None),
            page=page_number(request),
            whole="whole" in request.GET,
            run=NodeStatus(run) if (run := request.GET.get("run", "")) in NodeStatus.values else None,
            around=whole_number(request.GET.get("around", ""), None),
        )

    def tree(self, batch: Batch, around: Node | None = None) -> Tree:
        """Return the requested part of the tree, with the row of a node."""
        if around is None and self.around:
            around = Node.objects.select_related("parent__parent").filter(batch=batch, pk=self.around).first()
        return tree_of(batch, Place(self.page, self.opened, self.run, self.selection), around)


@dataclass(frozen=True)
class BatchPage:
    """Context of the tab with the tree. `summary` says in a line how the batch fares."""

    batch: Batch
    tree: Tree
    pane: Pane | None
    summary: Summary


def batch_page(batch: Batch, query: TreeQuery, pane: Pane | None = None) -> BatchPage:
    """Return the context of the tab with the tree."""
    return BatchPage(batch, query.tree(batch, pane.node if pane else None), pane, summary_of(batch))


@dataclass(frozen=True)
class SettingsPage:
    """Context of the tab with parameters, plan, tags and note: titles and values as a person reads them.

    `weight` is what the batch takes up; `kept` how long retention keeps it.
    """

    batch: Batch
    parameters: Sequence[tuple[str, str]]
    plan: Sequence[tuple[str, str]]
    weight: Weight
    kept: Decision


def settings_page(batch: Batch) -> SettingsPage:
    """Return the context of the settings."""
    found = processors().get(batch.processor)
    model = found.parameters_model if found is not None else BaseModel
    kept = Policy.now().of(batch, [tag.name for tag in batch.tags.all()])
    plan = [(title, value) for title, value in shown_values(Plan, batch.plan_data) if value]
    return SettingsPage(
        batch, shown_values(model, shown_parameters(batch.processor, batch.parameters)), plan, weight_of(batch), kept
    )
