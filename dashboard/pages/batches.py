"""Contexts of the batch list and the batch page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page
from django.http import HttpRequest, QueryDict
from pydantic import BaseModel

from dashboard.accounts.permissions import may_operate
from dashboard.forms.shown_values import shown_values
from dashboard.i18n.formatting import StrOrPromise
from dashboard.models import Batch, SavedView
from dashboard.pages.batch_columns import COLUMNS, columns_query, requested_columns
from dashboard.queries.batch_filter import BatchFilter
from dashboard.queries.batch_summary import Summary, summary_of
from dashboard.queries.node_pane import Pane
from dashboard.queries.selection import Selection
from dashboard.queries.tree import Tree, tree_of
from dashboard.server.requests import page_number, whole_number
from orchestration.plan.plan import Plan
from orchestration.processors.catalogue import processors, shown_parameters


@dataclass(frozen=True)
class TreeQuery:
    """Which part of a tree is requested: a selection, an expanded parent, a page. Invalid values are ignored.

    The rows of an expanded parent are fetched alone, unless the `whole` tree is requested.
    """

    selection: Selection
    opened: int | None
    page: int
    whole: bool = False

    @classmethod
    def of(cls, request: HttpRequest) -> TreeQuery:
        """Read it from a query string."""
        return cls(
            selection=Selection.of(request.GET.dict()),
            opened=whole_number(request.GET.get("open", ""), None),
            page=page_number(request),
            whole="whole" in request.GET,
        )

    def tree(self, batch: Batch) -> Tree:
        """Return the requested part of the tree."""
        return tree_of(batch, selection=self.selection, page=self.page, opened=self.opened)


@dataclass(frozen=True)
class BatchPage:
    """Context of the tab with the tree. `summary` says in a line how the batch fares."""

    batch: Batch
    tree: Tree
    pane: Pane | None
    may_operate: bool
    summary: Summary


def batch_page(request: HttpRequest, batch: Batch, query: TreeQuery, pane: Pane | None = None) -> BatchPage:
    """Return the context of the tab with the tree."""
    return BatchPage(batch, query.tree(batch), pane, may_operate(request.user), summary_of(batch))


@dataclass(frozen=True)
class SettingsPage:
    """Context of the tab with parameters, plan, tags and note: titles and values as a person reads them."""

    batch: Batch
    parameters: Sequence[tuple[str, str]]
    plan: Sequence[tuple[str, str]]


def settings_page(batch: Batch) -> SettingsPage:
    """Return the context of the settings."""
    found = processors().get(batch.processor)
    model = found.parameters_model if found is not None else BaseModel
    plan = [(title, value) for title, value in shown_values(Plan, batch.plan_data) if value]
    return SettingsPage(batch, shown_values(model, shown_parameters(batch.processor, batch.parameters)), plan)


@dataclass(frozen=True)
class BatchRow:
    """A batch and its state as live updates have it."""

    batch: Batch
    state: dict[str, Any]


@dataclass(frozen=True)
class BatchListPage:
    """Context of the batch list. `newest` is when it was rendered: later batches are offered, not inserted."""

    filter: BatchFilter
    page: Page[Batch]
    rows: Sequence[BatchRow]
    newest: str
    may_operate: bool
    views: Sequence[SavedView]
    query: str
    columns: Sequence[str]

    @property
    def all_columns(self) -> Sequence[tuple[str, StrOrPromise]]:
        """All columns with their titles."""
        return list(COLUMNS.items())


def saved_query(given: QueryDict) -> str:
    """Return the canonical query string of a saved view: filters, order and columns."""
    values = {name: given[name] for name in BatchFilter.base_filters if given.get(name)}
    if columns := columns_query(requested_columns(given)):
        values["columns"] = columns
    return urlencode(sorted(values.items()), safe=",")
