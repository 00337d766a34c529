"""The batch list and the batch page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard.diagnosis import diagnosis_of, moves
from dashboard.error_groups import ErrorGroups, error_groups
from dashboard.filters import BatchFilter
from dashboard.forms import title_of
from dashboard.list_columns import COLUMNS, columns_of, columns_query
from dashboard.list_models import SavedView
from dashboard.live import batch_state
from dashboard.models import Batch, Report
from dashboard.operation_outcomes import newest_done
from dashboard.pane import Pane
from dashboard.permissions import may_operate
from dashboard.rolling_back import can_undo
from dashboard.selection import Selection
from dashboard.slowest import slowest_of
from dashboard.timeline import Timeline, timeline_of
from dashboard.tree import Tree, tree_of
from dashboard.wording import Words, said
from orchestration.plan import Plan

BATCHES_PER_PAGE = 50


@dataclass(frozen=True)
class BatchRow:
    """A batch and its state as the live rows get it."""

    batch: Batch
    state: dict[str, Any]


@dataclass(frozen=True)
class BatchListPage:
    """Context of the batch list. `newest` is when it was made: what is launched later is offered, not inserted."""

    filter: BatchFilter
    page: Page[Batch]
    rows: Sequence[BatchRow]
    newest: str
    may_operate: bool
    views: Sequence[SavedView]
    query: str
    columns: Sequence[str]

    @property
    def all_columns(self) -> Sequence[tuple[str, Words]]:
        """Columns that can be shown, and their titles."""
        return list(COLUMNS.items())


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
        opened = request.GET.get("open", "")
        return cls(
            selection=Selection.of(request.GET.dict()),
            opened=int(opened) if opened.isdecimal() and len(opened) < 19 else None,
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


def page_number(request: HttpRequest, name: str = "page") -> int:
    """Return a page number from the address; 1 if it is nonsense."""
    given = request.GET.get(name, "")
    return int(given) if given.isdecimal() and len(given) < 8 else 1


def plan_of(batch: Batch) -> list[tuple[str, Any]]:
    """Return the plan as titles and values, without what was not given."""
    titles = {name: str(said(title_of(name, field))) for name, field in Plan.model_fields.items()}
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


def saved_query(given: QueryDict) -> str:
    """Return what of an address belongs to a saved view: filters, order and columns, in one way of writing."""
    kept = {name: given[name] for name in BatchFilter.base_filters if given.get(name)}
    if columns := columns_query(columns_of(given)):
        kept["columns"] = columns
    return urlencode(sorted(kept.items()), safe=",")


@require_safe
def batch_list(request: HttpRequest) -> HttpResponse:
    """Show batches, newest first, narrowed by status, processor, person and text."""
    batches = Batch.objects.select_related("launched_by", "schedule").prefetch_related("tags")
    found = BatchFilter(request.GET, batches, request=request)
    page = Paginator(found.qs, BATCHES_PER_PAGE).get_page(page_number(request))
    rows = [BatchRow(batch, batch_state(batch)) for batch in page]
    views = list(SavedView.objects.seen_by(request.user))
    newest = timezone.now().isoformat()
    query = saved_query(request.GET)
    context = BatchListPage(found, page, rows, newest, may_operate(request.user), views, query, columns_of(request.GET))
    htmx = request.htmx  # type: ignore[attr-defined]
    is_part = htmx and not htmx.history_restore_request
    template = "batch_list.html#batches" if is_part else "batch_list.html"
    response = render(request, template, {"page": context})
    if is_part and page.number == 1:
        response["HX-Push-Url"] = f"{request.path}?{query}".rstrip("?")
    return response


@require_safe
def batch_detail(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Show one batch: state, buttons, tree."""
    batch = get_object_or_404(
        Batch.objects.select_related("launched_by", "schedule", "definition__definition").prefetch_related("tags"),
        id=batch_id,
    )
    return render(request, "batch_detail.html", {"page": batch_page(request, batch, TreeQuery.of(request))})


@require_safe
def batch_story(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Show what happened to a batch, and which children are slow; a plain link gets the batch page."""
    batch = get_object_or_404(Batch, id=batch_id)
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect("batch-detail", batch_id)
    context = {
        "batch": batch,
        "timeline": timeline_of(batch),
        "slowest": slowest_of(batch),
        "operations": newest_done(batch),
    }
    return render(request, "batch_detail.html#story", context)


@require_safe
def batch_errors(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Show what the failures of a batch have in common; a plain link gets the batch page."""
    batch = get_object_or_404(Batch, id=batch_id)
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect("batch-detail", batch_id)
    context = {"batch": batch, "errors": error_groups(batch), "may_operate": may_operate(request.user)}
    return render(request, "batch_detail.html#errors", context)


@require_safe
def batch_diagnosis(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Say why a batch does not move; nothing while it does, unless somebody asks."""
    batch = get_object_or_404(Batch, id=batch_id)
    is_asked = "ask" in request.GET
    if not is_asked and (not batch.is_open or moves(batch)):
        return render(request, "_diagnosis.html", {"batch": batch, "diagnosis": None})
    return render(request, "_diagnosis.html", {"batch": batch, "diagnosis": diagnosis_of(batch)})
