"""A batch's time line: what its parents reported, and the periods that follow from it. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from dashboard.models import Batch, Moment
from orchestration.contracts import EventKind

WIDTH = 1000
MOMENTS_SHOWN = 200

TITLES = {
    EventKind.PAUSED: "Paused",
    EventKind.RESUMED: "Resumed",
    EventKind.HELD: "Held",
    EventKind.RELEASED: "Released",
    EventKind.BREAKER_OPENED: "Breaker opened",
    EventKind.BREAKER_HALF_OPEN: "Breaker half-open",
    EventKind.BREAKER_CLOSED: "Breaker closed",
    EventKind.ROLLING_BACK: "Rolling back",
    EventKind.GATE_OPENED: "Waiting for approval",
    EventKind.GATE_DECIDED: "Decided",
    EventKind.CONTINUED: "Continued as new",
}

PERIODS = {
    EventKind.PAUSED: ("paused", "pause"),
    EventKind.RESUMED: ("", "pause"),
    EventKind.HELD: ("held", "hold"),
    EventKind.RELEASED: ("", "hold"),
    EventKind.BREAKER_OPENED: ("open", "breaker"),
    EventKind.BREAKER_HALF_OPEN: ("half-open", "breaker"),
    EventKind.BREAKER_CLOSED: ("", "breaker"),
    EventKind.ROLLING_BACK: ("rolling-back", "rollback"),
    EventKind.GATE_OPENED: ("gate", "gate"),
    EventKind.GATE_DECIDED: ("", "gate"),
}
"""Which period a moment begins (none: it only ends the one before), and of which track."""


@dataclass(frozen=True)
class Entry:
    """A moment as a line of text."""

    kind: str
    title: str
    at: datetime
    note: str


@dataclass(frozen=True)
class Period:
    """A stretch of the batch's time, from `x` on, `width` long, of WIDTH."""

    kind: str
    title: str
    x: int
    width: int


@dataclass(frozen=True)
class Timeline:
    """What a batch's time line shows: newest moments first, periods by start."""

    moments: Sequence[Entry]
    periods: Sequence[Period]


def timeline_of(batch: Batch) -> Timeline:
    """Return the time line of a batch, from its first start to its end or to now."""
    moments = list(batch.moments.order_by("-at", "-id")[:MOMENTS_SHOWN])
    entries = [
        Entry(moment.kind, TITLES.get(EventKind(moment.kind), moment.kind), moment.at, moment.note)
        for moment in moments
    ]
    return Timeline(entries, list(_periods(batch, moments[::-1])))


def _periods(batch: Batch, moments: Sequence[Moment]) -> Iterable[Period]:
    if not moments:
        return
    begin, end = min(batch.opened_at or moments[0].at, moments[0].at), batch.closed_at or timezone.now()
    whole = max((end - begin).total_seconds(), 1e-3)

    def period(kind: str, since: datetime, until: datetime) -> Period:
        x, stop = (round(WIDTH * (at - begin).total_seconds() / whole) for at in (since, until))
        seconds = (until - since).total_seconds()
        return Period(kind, f"{kind.replace('-', ' ')} for {seconds:.1f} s", x, max(stop - x, 2))

    running = dict[tuple[str, str], tuple[str, datetime]]()
    for moment in moments:
        kind, track = PERIODS.get(EventKind(moment.kind), ("", ""))
        place = (track, moment.workflow_id)
        if track and place in running:
            yield period(*running.pop(place), moment.at)
        if kind:
            running[place] = kind, moment.at
    for kind, since in running.values():
        yield period(kind, since, max(end, since))
