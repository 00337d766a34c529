"""The largest body of a request, by its route and by whether anybody knows who sends it."""

from __future__ import annotations

from django.conf import settings
from django.urls import Resolver404, resolve

LARGE = frozenset(
    {
        *("launch", "launch-preview", "launch-schedule", "definition-launch", "definition-items-preview"),
        *("schedule-create", "schedule-edit", "schedule-saved", "schedule-preview"),
        *("create_batch", "create_schedule", "change_schedule", "create_upload"),
        *("write_results", "write_step_result", "take_events"),
    }
)
"""Names of routes that take a file of CANOPY_MAX_UPLOAD_BYTES and as much text, so that a form can be shown again with
what was too large named; or what workers send."""

WORKERS = frozenset(
    {
        *("read_chunk", "write_note", "note_begun", "forget_begun", "write_results", "read_upload"),
        *("write_step_result", "read_step_result"),
    }
)
"""Routes of workers, whose number of calls at a time is their number of threads."""

UNKNOWN = frozenset({"api-unknown", "login", "logout", "javascript-catalog"})
"""Routes that nobody sends more to, whoever it is."""


def route_name(path: str) -> str:
    """Return the name of the route that a path leads to; empty if there is none."""
    try:
        return resolve(path).url_name or ""
    except Resolver404:
        return ""


def body_limit(name: str, *, is_known: bool) -> int:
    """Return the most bytes of a body for a route. `is_known` is whether a valid session or token came with it."""
    if not is_known or not name or name in UNKNOWN:
        return int(settings.CANOPY_ANONYMOUS_BODY_BYTES)
    if name in LARGE:
        return int(2 * settings.CANOPY_MAX_UPLOAD_BYTES + settings.CANOPY_BODY_BYTES)
    return int(settings.CANOPY_BODY_BYTES)
