"""Paging: Django's paginator, also for rows that are already counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet


def page_of(rows: QuerySet[Any, Any] | Sequence[Any], number: int, size: int, total: int | None = None) -> Page[Any]:
    """Return a page of rows; a number below the first or beyond the last page gives the first or the last.

    `total` is the number of rows where a tally has it already: they are not counted again then.
    """
    paginator = Paginator(rows, size)
    if total is not None:
        paginator.count = total
    return paginator.get_page(max(1, number))
