"""Filters of the tree: keys that are cut in the middle, and the counts of a folder."""

from __future__ import annotations

from collections.abc import Mapping

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from dashboard.i18n.formatting import numeral
from dashboard.models import NOT_COMPLETED, BatchStatus, NodeStatus
from dashboard.models.statuses import status_label

register = template.Library()

LONGEST_KEY = 7
"""A longer one may be cut where there is no room for it."""

TAIL = 5
"""Characters at the end of a key that are never cut: they tell it from others."""

_OPEN = (NodeStatus.PENDING, BatchStatus.SCHEDULED, NodeStatus.RUNNING)


@register.filter
def cut_in_middle(key: str) -> str | SafeString:
    """Return a key so that a style sheet can cut it in the middle; all of it is its title, and what is copied."""
    if len(key) <= LONGEST_KEY:
        return key
    parts = (key, key[:-TAIL], key[-TAIL:])
    return format_html('<span class="cut" title="{}"><span>{}</span><span>{}</span></span>', *parts)


@register.filter
def folder_words(counts: Mapping[str, int]) -> str:
    """Return how far the children below a node are: 48 of 60 · 2 failed. The script format.js has the same words."""
    total = sum(counts.values())
    finished = total - sum(counts.get(status, 0) for status in _OPEN)
    words = [_("%(done)s of %(length)s") % {"done": numeral(finished), "length": numeral(total)}]
    words += [f"{numeral(counts[each])} {status_label(each).lower()}" for each in NOT_COMPLETED if counts[each]]
    return " · ".join(words)
