"""Context of the batch list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page
from django.http import QueryDict

from dashboard.i18n.formatting import StrOrPromise
from dashboard.models import Batch, SavedView
from dashboard.pages.batch_columns import COLUMNS, columns_of, columns_query
from dashboard.queries.batch_filter import BatchFilter


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
    def all_columns(self) -> Sequence[tuple[str, StrOrPromise]]:
        """Columns that can be shown, and their titles."""
        return list(COLUMNS.items())


def saved_query(given: QueryDict) -> str:
    """Return what of an address belongs to a saved view: filters, order and columns, in one way of writing."""
    kept = {name: given[name] for name in BatchFilter.base_filters if given.get(name)}
    if columns := columns_query(columns_of(given)):
        kept["columns"] = columns
    return urlencode(sorted(kept.items()), safe=",")
