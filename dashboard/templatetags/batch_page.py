"""Filters of the batch page: its title, what fails, and messages in one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.translation import gettext as _

from dashboard.i18n.formatting import numeral
from dashboard.models import FAILURES, Batch, BatchStatus, statuses
from dashboard.templatetags.canopy import ERROR_LINE, among, percent, share_of

register = template.Library()


@register.filter
def failures(state: Mapping[str, Any]) -> int:
    """Return how many items of a batch's state failed; or children, where no item did (as counts.js does)."""
    return among(state["items"], " ".join(FAILURES)) or among(state["children"], " ".join(FAILURES))


@register.filter
def progress_title(batch: Batch, state: Mapping[str, Any]) -> str:
    """Return a page's title that says how a batch fares: 48% · 2 failed, and its name (as progress_title.js does)."""
    words = [statuses.status_words(state["status"], state["children"])]
    if batch.status == BatchStatus.RUNNING:
        words = [percent(share_of(state["progress"], "completed"))]
    if number := failures(state):
        words.append(_("%(number)s failed") % {"number": numeral(number)})
    return f"{' · '.join(words)} \N{EN DASH} {batch.label or batch.processor}"


@register.filter
def as_counts(state: Mapping[str, Any]) -> str:
    """Return a batch's status and tallies as JSON: what a page was rendered with, to compare deltas with."""
    return json.dumps({name: state[name] for name in ("status", "children", "items", "watched")})


@register.filter
def compact_json(value: Any) -> str:
    """Return a value as JSON in one line, for a script."""
    return json.dumps(value, separators=(",", ":"))


@register.filter
def words(text: str) -> list[str]:
    """Split a text at spaces, to loop over it."""
    return text.split()


@register.filter
def first_line(text: str) -> str:
    """Return the first line of a message, cut at ERROR_LINE characters."""
    first = text.strip().split("\n", 1)[0]
    return first if len(first) <= ERROR_LINE else f"{first[: ERROR_LINE - 1]}…"


@register.filter
def has_more_lines(text: str) -> bool:
    """Whether `first_line` leaves something out."""
    return first_line(text) != text.strip()
