"""Contexts of the batch list and the batch page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page
from django.http import HttpRequest, QueryDict

from dashboard.accounts.permissions import may_operate
from dashboard.actions.approval import may_approve
from dashboard.actions.rollback import can_undo
from dashboard.forms.shown_values import shown_values
from dashboard.i18n.formatting import StrOrPromise
from dashboard.live.state import batch_state
from dashboard.models import Batch, Report, SavedView
from dashboard.pages.batch_columns import COLUMNS, columns_query, requested_columns
from dashboard.queries.batch_filter import BatchFilter
from dashboard.queries.error_groups import ErrorGroups, error_groups
from dashboard.queries.node_pane import Pane
from dashboard.queries.selection import Selection
from dashboard.queries.timeline import Timeline, timeline_of
from dashboard.queries.tree import Tree, tree_of
from dashboard.server.requests import page_number, whole_number
from orchestration.plan.plan import Plan
from orchestration.processors.catalogue import shown_parameters


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
    """Context of the batch page."""

    batch: Batch
    state: dict[str, Any]
    tree: Tree
    timeline: Timeline
    errors: ErrorGroups
    reports: Sequence[Report]
    parameters: Mapping[str, Any]
    plan: Sequence[tuple[str, Any]]
    samples: str
    may_operate: bool
    may_approve: bool
    can_undo: bool
    confirm: str
    pane: Pane | None


def plan_facts(batch: Batch) -> list[tuple[str, str]]:
    """Return titles and values of the plan's options that are set."""
    return [(title, value) for title, value in shown_values(Plan, batch.plan_data) if value]


def batch_page(request: HttpRequest, batch: Batch, query: TreeQuery, pane: Pane | None = None) -> BatchPage:
    """Return the context of the batch page."""
    return BatchPage(
        batch=batch,
        state=batch_state(batch),
        tree=query.tree(batch),
        timeline=timeline_of(batch),
        errors=error_groups(batch),
        reports=list(batch.reports.all()) if batch.plan_data.get("summarise") else [],
        parameters=shown_parameters(batch.processor, batch.parameters),
        plan=plan_facts(batch),
        samples=json.dumps(batch.samples),
        may_operate=may_operate(request.user),
        may_approve=may_approve(request.user, batch),
        can_undo=can_undo(batch),
        confirm=request.GET.get("confirm", ""),
        pane=pane,
    )


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
