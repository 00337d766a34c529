"""Filters and tags that format durations, times, counts, bars, errors and JSON, as static/js/lib/format.js does."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from django import template
from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.i18n.formatting import age, duration, numeral, translated
from dashboard.models import SHOWN_BY_INTEREST, Batch, DeletedBatch, Node, NodeStatus, statuses
from dashboard.temporal import namespace
from orchestration.errors.kinds import ErrorKind, error_kind

register = template.Library()

SHOWN_JSON = 64 * 1024
"""The most characters of a value on a page; the API returns all of it."""

PICTURE = re.compile(r"data:image/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/=]+")
PICTURE_LENGTH = 200 * 1024

ERROR_LINE = 300
RESULT_LINE = 120

BAR_ORDER = ("failed", "timed_out", "terminated", "canceled", "completed", "running", "skipped")
"""From left to right; pending is the empty rest."""


register.filter(translated)
register.filter("duration", duration)


register.filter("status_label", statuses.status_label)


@register.filter
def status_words(shown: Batch | Node | DeletedBatch | Mapping[str, Any]) -> str:
    """Return the status of a batch, its state, or a node as words, with what was left out of it."""
    if isinstance(shown, Mapping):
        return statuses.status_words(shown["status"], shown["children"])
    return statuses.status_words(shown.shown_status, shown.shown_children)


@register.filter
def magnitude(value: float) -> float:
    """Return a number without its sign."""
    return abs(value)


@register.filter
def lasted(run: Any) -> str:
    """Return the duration of a node, an attempt or a batch, up to now if it is open."""
    now = timezone.now()
    if isinstance(run, Batch | Node | DeletedBatch):
        seconds = run.elapsed(now)
    else:
        seconds = max(0.0, ((run.closed_at or now) - run.started_at).total_seconds()) if run.started_at else None
    return duration(seconds) if seconds is not None else ""


@register.simple_tag
def when(at: datetime | None, missing: str = "") -> str | SafeString:
    """Return a time as `<time>` in UTC, which a script converts to the local time zone."""
    if at is None:
        return missing
    return format_html(
        '<time datetime="{}" data-time>{}</time>', at.isoformat(), f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S} UTC"
    )


@register.simple_tag
def ago(at: datetime | None, missing: str = "") -> str | SafeString:
    """Return how long ago a time was, as `<time>` with the absolute one as its title; a script keeps both right."""
    if at is None:
        return missing
    absolute = f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S} UTC"
    seconds = (timezone.now() - at).total_seconds()
    return format_html('<time datetime="{}" title="{}" data-ago>{}</time>', at.isoformat(), absolute, age(seconds))


@register.filter
def progress_words(state: Mapping[str, Any]) -> str:
    """Return how far a batch is: in items, or where it has none in children."""
    items, children = state["progress"], state["children"]
    if items["total"] and not state["watched"]:
        words = ngettext(
            "%(succeeded)s of %(total)s item succeeded", "%(succeeded)s of %(total)s items succeeded", items["total"]
        )
        return words % {"succeeded": numeral(items["completed"]), "total": numeral(items["total"])}
    finished = children["total"] - children["pending"] - children["running"]
    words = ngettext(
        "%(finished)s of %(total)s child finished", "%(finished)s of %(total)s children finished", children["total"]
    )
    return words % {"finished": numeral(finished), "total": numeral(children["total"])}


@register.filter
def among(counts: Mapping[str, int], statuses: str) -> int:
    """Add up the counts of some statuses, separated by spaces."""
    return sum(counts.get(status, 0) for status in statuses.split())


@register.filter
def share_of(counts: Mapping[str, int], statuses: str) -> float:
    """Return the share, from 0 to 1, of some statuses, separated by spaces."""
    return among(counts, statuses) / (counts["total"] or 1)


@register.filter
def tally_words(counts: Mapping[str, int]) -> str:
    """Return counts by status as a sentence, failures first: 13 failed, 987 completed."""
    found = [
        (counts[status], statuses.status_label(status).lower()) for status in SHOWN_BY_INTEREST if counts.get(status)
    ]
    return ", ".join(f"{number_format(count, force_grouping=True)} {label}" for count, label in found)


@register.filter
def blocked_words(blocked: Mapping[str, Any]) -> str:
    """Return which workflow of a batch fails its workflow task (as reading.js does)."""
    words = ngettext(
        "The workflow task of %(workflow_type)s keeps failing: %(workflow_id)s.",
        "The workflow tasks of %(number)s workflows keep failing; the first: %(workflow_type)s, %(workflow_id)s.",
        blocked["workflows"],
    )
    return words % {**blocked, "number": numeral(blocked["workflows"])}


@register.filter
def reading_words(reading: Mapping[str, Any] | None) -> str:
    """Return the progress of an input that is read while its batch runs, and its left-out rows (as reading.js does)."""
    if reading is None:
        return ""
    words, values = (
        list[str](),
        {"items": numeral(reading["items"]), "line": reading["line"], "reason": reading["reason"]},
    )
    if not reading["is_last"] and reading["is_open"]:
        so_far = ngettext(
            "Reading the input: %(items)s item so far.", "Reading the input: %(items)s items so far.", reading["items"]
        )
        words.append(so_far % values)
    elif not reading["is_last"]:
        partly = ngettext(
            "Input only partly read: %(items)s item.", "Input only partly read: %(items)s items.", reading["items"]
        )
        words.append(partly % values)
    if reading["left_out"]:
        left_out = ngettext(
            "%(number)s invalid row left out: line %(line)s: %(reason)s",
            "%(number)s invalid rows left out; the first: line %(line)s: %(reason)s",
            reading["left_out"],
        )
        words.append(left_out % {**values, "number": numeral(reading["left_out"])})
    return " ".join(words)


@register.inclusion_tag("partials/_bar.html")
def bar(counts: Mapping[str, int]) -> dict[str, Any]:
    """Render counts by status as one bar, failures leftmost, pending left empty."""
    total = sum(count for status, count in counts.items() if status != "total") or 1
    parts, at = list[SafeString](), 0.0
    for status in BAR_ORDER:
        width = 1000 * counts.get(status, 0) / total
        parts.append(mark_safe(f'class="{status}" x="{at:.2f}" width="{width:.2f}"'))  # noqa: S308  enums and numbers
        at += width
    return {"parts": parts}


@register.filter
def error_line(node: Any) -> str:
    """Return the error of a node, an attempt or an item in one line."""
    if not node.error_type and not node.error_message:
        return ""
    first = node.error_message.strip().split("\n", 1)[0]
    text = first if node.error_type in ("", "ItemsFailed") else f"{node.error_type}: {first}"
    return text if len(text) <= ERROR_LINE else f"{text[: ERROR_LINE - 1]}…"


@register.filter
def error_kind_of(row: Any) -> ErrorKind | None:
    """Return the kind of error of a node, an attempt or an item; it has a value and an advice."""
    return error_kind(row.error_type) if row.error_type else None


@register.filter
def as_json(value: Any) -> str:
    """Return a value as indented JSON, cut at SHOWN_JSON characters."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text if len(text) <= SHOWN_JSON else f"{text[:SHOWN_JSON]}\n… cut here: {len(text):,} characters in all"


@register.filter
def percent(share: float) -> str:
    """Return a share from 0 to 1 as percent; only 0 is 0% and only 1 is 100%."""
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"


@register.filter
def rate(share: float) -> str:
    """Return a share from 0 to 1 as percent with one decimal: 4.9 %."""
    return f"{number_format(round(100 * share, 1), 1)} %"


@register.filter
def points(change: float) -> str:
    """Return the difference of two shares in percentage points, with its sign: +15.1 pp."""
    unit = _("pp")
    return f"{signed(change)}{number_format(round(100 * abs(change), 1), 1)} {unit}"


@register.filter
def signed(change: float) -> str:
    """Return the sign of a difference; none for 0."""
    return "+" if change > 0 else "\N{MINUS SIGN}" if change < 0 else ""


@register.filter
def result_value(value: Any) -> str:
    """Return a field of a result in one line, cut at RESULT_LINE characters; empty for None.

    A small picture becomes an `<img>`.
    """
    if value is None:
        return ""
    if is_picture(value):
        return format_html('<img class="thumbnail" src="{}" alt="" loading="lazy">', value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= RESULT_LINE else f"{text[: RESULT_LINE - 1]}…"


def is_picture(value: Any) -> bool:
    """Whether a value is a small picture: a data: URL of a type that cannot contain scripts."""
    return isinstance(value, str) and len(value) <= PICTURE_LENGTH and PICTURE.fullmatch(value) is not None


@register.filter
def pictures(result: Any) -> list[tuple[str, str]]:
    """Return the fields of a result that are small pictures: (name, URL)."""
    fields = result.items() if isinstance(result, Mapping) else ()
    return [(name, value) for name, value in fields if is_picture(value)]


@register.simple_tag
def temporal_url(workflow_id: str, run_id: str = "") -> str:
    """Return the URL of a run, or of a workflow's newest run, in Temporal's own UI; empty if there is no such UI."""
    if not settings.TEMPORAL_UI_URL:
        return ""
    base = f"{settings.TEMPORAL_UI_URL.rstrip('/')}/namespaces/{quote(namespace(), safe='')}"
    return f"{base}/workflows/{quote(workflow_id, safe='')}" + (f"/{quote(run_id, safe='')}" if run_id else "")


@register.simple_tag
def trace_url(trace_id: str, node: Any) -> str:
    """Return the URL of a node's own part of its batch's trace, where traces are looked at; empty without such a place.

    Spans are marked with the run of a workflow: what is no workflow itself is a part of the run that its run id begins
    with.
    """
    if not trace_id:
        return ""
    url = str(settings.CANOPY_TRACE_URL)
    parts = {"trace_id": trace_id, "workflow_id": node.workflow_id, "run_id": node.run_id.partition("/")[0]}
    for name, value in parts.items():
        url = url.replace(f"{{{name}}}", quote(value, safe=""))
    return url


@register.filter
def item_status(item: Any, node: Any) -> str:
    """Return the displayed status of an item: its own, or while it is pending that of its child."""
    return str(node.shown_status if item.status == NodeStatus.PENDING else item.status)


@register.filter
def as_time(text: str) -> datetime | None:
    """Return a time from ISO 8601, as it is stored in JSON fields."""
    return parse_datetime(text)


@register.filter
def zoned(at: datetime) -> SafeString:
    """Return a time in its own time zone: Mon 23 Nov 2026, 07:00 CET; with seconds if they are not 0."""
    shown = date_format(at, "D j M Y, H:i:s" if at.second else "D j M Y, H:i")
    return format_html('<time datetime="{}">{} {}</time>', at.isoformat(), shown, at.tzname() or "")
