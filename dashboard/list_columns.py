"""Columns of the batch list: those that can be shown, and those that an address asks for."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import QueryDict

COLUMNS = {
    "status": "Status",
    "progress": "Progress",
    "children": "Children",
    "failed": "Failed",
    "items": "Items",
    "rate": "Items/s",
    "left": "Time left",
    "took": "Duration",
    "launched": "Launched",
    "ended": "Ended",
    "note": "Note",
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
