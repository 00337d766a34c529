"""Halts: the times at which a batch was paused or held, which its clocks leave out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

MOST_KEPT = 200
"""Halts of one batch that are remembered, the newest."""

Halts = Sequence[Sequence[str | None]]
"""From when to when, oldest first, as ISO 8601; the last may not have ended: [[from, to or None], …]."""


def with_turn(halts: Halts, at: datetime, *, is_halted: bool) -> list[list[str | None]]:
    """Return halts with one that begins, or with the last one ended."""
    kept = [list(each) for each in halts]
    if is_halted:
        kept.append([at.isoformat(), None])
    elif kept and kept[-1][1] is None:
        kept[-1][1] = max(at, datetime.fromisoformat(kept[-1][0] or at.isoformat())).isoformat()
    return kept[-MOST_KEPT:]


def seconds_between(halts: Halts, begin: datetime, end: datetime) -> float:
    """Return the seconds from begin to end in which there was no halt; 0 if the end comes first."""
    left = (end - begin).total_seconds()
    for since, until in halts:
        first = max(begin, datetime.fromisoformat(since)) if since else begin
        last = min(end, datetime.fromisoformat(until)) if until else end
        left -= max(0.0, (last - first).total_seconds())
    return max(0.0, left)
