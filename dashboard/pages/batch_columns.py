"""Columns of the batch list: all of them, and those that a query string requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.http import QueryDict
from django.utils.translation import gettext_lazy

from dashboard.i18n.formatting import StrOrPromise

COLUMNS: Mapping[str, StrOrPromise] = {
    "status": gettext_lazy("Status"),
    "progress": gettext_lazy("Progress"),
    "children": gettext_lazy("Children"),
    "failed": gettext_lazy("Failed"),
    "items": gettext_lazy("Items"),
    "rate": gettext_lazy("Items/s"),
    "left": gettext_lazy("Time left"),
    "took": gettext_lazy("Duration"),
    "launched": gettext_lazy("Launched"),
    "ended": gettext_lazy("Finished"),
    "note": gettext_lazy("Note"),
}
"""In display order, after the batch itself."""

DEFAULT_COLUMNS = ("status", "progress", "items", "launched")


def requested_columns(given: QueryDict) -> Sequence[str]:
    """Return the columns in a query string, comma-separated or repeated; the default ones if there are none."""
    named = {name for each in given.getlist("columns") for name in each.split(",")}
    return [name for name in COLUMNS if name in named] or DEFAULT_COLUMNS


def columns_query(columns: Sequence[str]) -> str:
    """Return columns as a query parameter; empty for the default ones."""
    return "" if tuple(columns) == DEFAULT_COLUMNS else ",".join(columns)
