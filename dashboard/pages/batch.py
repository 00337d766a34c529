"""Context of a batch's page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from dashboard.accounts.permissions import may_operate
from dashboard.actions.rollback import can_undo
from dashboard.forms.model_forms import title_of
from dashboard.i18n.formatting import translated
from dashboard.live.state import batch_state
from dashboard.models import Batch, Report
from dashboard.queries.error_groups import ErrorGroups, error_groups
from dashboard.queries.node_pane import Pane
from dashboard.queries.selection import Selection
from dashboard.queries.timeline import Timeline, timeline_of
from dashboard.queries.tree import Tree, tree_of
from dashboard.server.requests import page_number, whole_number
from orchestration.plan.plan import Plan


@dataclass(frozen=True)
class TreeQuery:
    """What of a tree is asked for: a selection, an expanded parent, a page. Nonsense is as if not given.

    The rows of an expanded parent are fetched alone, unless the `whole` tree is asked for.
    """

    selection: Selection
    opened: int | None
    page: int
    whole: bool = False

    @classmethod
    def of(cls, request: HttpRequest) -> TreeQuery:
        """Read it from an address."""
        return cls(
            selection=Selection.of(request.GET.dict()),
            opened=whole_number(request.GET.get("open", ""), None),
            page=page_number(request),
            whole="whole" in request.GET,
        )

    def tree(self, batch: Batch) -> Tree:
        """Return what is asked for of a batch's tree."""
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
    plan: Sequence[tuple[str, Any]]
    samples: str
    may_operate: bool
    can_undo: bool
    confirm: str
    pane: Pane | None


def plan_of(batch: Batch) -> list[tuple[str, Any]]:
    """Return the plan as titles and values, without what was not given."""
    titles = {name: str(translated(title_of(name, field))) for name, field in Plan.model_fields.items()}
    return [(titles.get(name, name), value) for name, value in batch.plan_data.items() if value is not None]


def batch_page(request: HttpRequest, batch: Batch, query: TreeQuery, pane: Pane | None = None) -> BatchPage:
    """Gather what the batch page shows."""
    return BatchPage(
        batch=batch,
        state=batch_state(batch),
        tree=query.tree(batch),
        timeline=timeline_of(batch),
        errors=error_groups(batch),
        reports=list(batch.reports.all()) if batch.plan_data.get("summarise") else [],
        plan=plan_of(batch),
        samples=json.dumps(batch.samples),
        may_operate=may_operate(request.user),
        can_undo=can_undo(batch),
        confirm=request.GET.get("confirm", ""),
        pane=pane,
    )
