"""What rows of the tree show and say: attributes, keys that are cut in the middle, and the counts of a folder.

A page has a hundred rows, and a tag costs less than as many variables as it has attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from dashboard.i18n.formatting import numeral
from dashboard.models import NOT_COMPLETED, BatchStatus, Node, NodeStatus
from dashboard.models.choices import NODE_KIND_LABELS
from dashboard.models.statuses import status_label
from orchestration.contracts.events import NodeKind

register = template.Library()

LONGEST_KEY = 7
"""A longer one may be cut where there is no room for it."""

TAIL = 5
"""Characters at the end of a key that are never cut: they tell it from others."""

_OPEN = (NodeStatus.PENDING, BatchStatus.SCHEDULED, NodeStatus.RUNNING)


@register.simple_tag
def row_attributes(row: Any, size: int | str) -> SafeString:
    """Return the attributes of a TreeRow among `size` rows, which style sheets and scripts read."""
    node: Node = row.node
    started, closed = node.shown_run
    expanded = "" if row.is_expanded is None else f' aria-expanded="{"true" if row.is_expanded else "false"}"'
    parent = f' data-parent="{node.parent_id}"' if node.parent_id else ""
    place = f' data-position="{node.position}"' if node.kind == NodeKind.CHILD else ""
    times = (
        f'data-started="{started.isoformat() if started else ""}" data-closed="{closed.isoformat() if closed else ""}"'
    )
    return mark_safe(  # noqa: S308  numbers, times, and values of enums
        f'id="node-{node.pk}" tabindex="-1" aria-level="{row.level}" aria-posinset="{row.position}" '
        f'aria-setsize="{size or 1}"{expanded} data-kind="{NodeKind(node.kind).value}" data-node="{node.pk}"{parent} '
        f'data-status="{node.shown_status!s}"{place} data-attempt="{node.attempt}" {times}'
    )


@register.filter
def meter(row: Any) -> SafeString:
    """Return where the bar of a TreeRow begins on the time axis, and how long it is, as attributes."""
    return mark_safe(f'x="{row.start}" width="{row.bar}"')  # noqa: S308  numbers


@register.filter
def finished_words(node: Node) -> str:
    """Return how many of a child's items have been finished: 3 of 5."""
    done = {"done": numeral(node.items_completed + node.items_failed), "length": numeral(node.length)}
    return _("%(done)s of %(length)s") % done


@register.filter
def select_words(node: Node) -> str:
    """Return what ticking a node's box does, in words."""
    return _("Select %(kind)s %(position)s") % _named(node)


@register.filter
def expand_words(node: Node) -> str:
    """Return what a click on a node's triangle does, in words."""
    return _("Expand or collapse %(kind)s %(position)s") % _named(node)


def _named(node: Node) -> dict[str, str]:
    return {"kind": str(NODE_KIND_LABELS[node.kind]).lower(), "position": str(node.ordinal)}


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
