"""Columns of the batch list: those that can be shown, and those that an address asks for."""

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
"""In the order in which they stand, after the batch itself."""

USUAL = ("status", "progress", "children", "launched")


def columns_of(given: QueryDict) -> Sequence[str]:
    """Return the columns that an address asks for, by commas or one by one; the usual ones where it names none."""
    named = {name for each in given.getlist("columns") for name in each.split(",")}
    return [name for name in COLUMNS if name in named] or USUAL


def columns_query(columns: Sequence[str]) -> str:
    """Return how an address asks for columns: not at all where they are the usual ones."""
    return "" if tuple(columns) == USUAL else ",".join(columns)
