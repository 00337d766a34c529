"""Context of the batch list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page
from django.http import QueryDict
from django.utils.translation import gettext as _

from dashboard.i18n.formatting import StrOrPromise
from dashboard.models import Batch, SavedView
from dashboard.pages.batch_columns import COLUMNS, columns_query, requested_columns
from dashboard.queries.batch_filter import CHIPS, DEFAULT_SORT, SORTED_BY, BatchFilter, StatusCount


@dataclass(frozen=True)
class BatchRow:
    """A batch and its state as live updates have it."""

    batch: Batch
    state: dict[str, Any]


@dataclass(frozen=True)
class Chip:
    """A filter that is set: its name and value for people, and the query string without it."""

    name: StrOrPromise
    value: StrOrPromise
    without: str


@dataclass(frozen=True)
class Tab:
    """A status with the number of batches that have it within the other filters; `query` selects it."""

    status: str
    label: StrOrPromise
    number: int
    query: str
    is_current: bool


@dataclass(frozen=True)
class Header:
    """The header of a column. `query` sorts by it, where one can: `order` says how it is sorted now, for aria-sort."""

    column: str
    label: StrOrPromise
    query: str = ""
    order: str = ""


@dataclass(frozen=True)
class BatchListPage:
    """Context of the batch list. `newest` is when it was rendered: later batches are offered, not inserted."""

    filter: BatchFilter
    page: Page[Batch]
    rows: Sequence[BatchRow]
    newest: str
    may_operate: bool
    views: Sequence[SavedView]
    given: QueryDict
    columns: Sequence[str]
    counts: Sequence[StatusCount]

    @property
    def query(self) -> str:
        """The canonical query string of what is shown."""
        return saved_query(self.given)

    @property
    def all_columns(self) -> Sequence[tuple[str, StrOrPromise]]:
        """All columns with their titles."""
        return list(COLUMNS.items())

    @property
    def tabs(self) -> Sequence[Tab]:
        """All batches, then those of each status of which there are any, or that is chosen."""
        return tabs_of(self.given, self.counts)

    @property
    def chips(self) -> Sequence[Chip]:
        """The filters that are set, besides the text and the status, which have a place of their own."""
        form = self.filter.form
        values = form.cleaned_data if form.is_valid() else {}
        return [
            Chip(form.fields[name].label or name, _shown(form.fields[name], values[name]), changed(self.given, name))
            for name in CHIPS
            if values.get(name)
        ]

    @property
    def headers(self) -> Sequence[Header]:
        """The headers of the columns that are shown."""
        shown = {"batch": _("Batch"), **{name: label for name, label in COLUMNS.items() if name in self.columns}}
        return [self._header(column, label) for column, label in shown.items()]

    def _header(self, column: str, label: StrOrPromise) -> Header:
        if column not in SORTED_BY:
            return Header(column, label)
        first = SORTED_BY[column]
        second = first.removeprefix("-") if first.startswith("-") else f"-{first}"
        now = self.given.get("sort") or DEFAULT_SORT
        order = ("descending" if now.startswith("-") else "ascending") if now in (first, second) else ""
        return Header(column, label, changed(self.given, "sort", second if now == first else first), order)


def tabs_of(given: QueryDict, counts: Sequence[StatusCount]) -> Sequence[Tab]:
    """Return the tabs of the list for a query string."""
    current, total = given.get("status", ""), sum(each.number for each in counts if not each.is_condition)
    tabs = [Tab("", _("All"), total, changed(given, "status"), not current)]
    for each in counts:
        if each.number or each.status == current:
            query = changed(given, "status", each.status)
            tabs.append(Tab(each.status, each.label, each.number, query, each.status == current))
    return tabs


def _shown(field: Any, value: Any) -> StrOrPromise:
    """Return the value of a filter as its choice is called; nothing for one that is only on or off."""
    if value is True:
        return ""
    choices: Mapping[Any, StrOrPromise] = dict(field.choices) if isinstance(value, str) else {}
    return choices.get(value, str(value))


def changed(given: QueryDict, name: str, value: str = "") -> str:
    """Return the query string with another value of a filter, or without it, from the first page on."""
    query = given.copy()
    query[name] = "" if (name, value) == ("sort", DEFAULT_SORT) else value
    return f"?{saved_query(query)}"


def saved_query(given: QueryDict) -> str:
    """Return the canonical query string of a saved view: filters, order and columns."""
    values = {name: given[name] for name in BatchFilter.base_filters if given.get(name)}
    if columns := columns_query(requested_columns(given)):
        values["columns"] = columns
    return urlencode(sorted(values.items()), safe=",")
