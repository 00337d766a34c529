"""The timeline of a batch: its runs, the events of its parents, user actions, and periods like pauses. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from dashboard.accounts.audit import ACCEPTED
from dashboard.i18n.formatting import duration, numeral
from dashboard.models import Attempt, AuditEntry, Batch, Moment, NodeStatus
from dashboard.models.statuses import status_words
from orchestration.contracts.events import EventKind, NodeKind

WIDTH = 1000
NARROWEST = 2
SHOWN = 200
"""Entries of each source, at most: the newest."""

TITLES = {
    EventKind.PAUSED: gettext_lazy("Paused"),
    EventKind.RESUMED: gettext_lazy("Resumed"),
    EventKind.HELD: gettext_lazy("Held"),
    EventKind.RELEASED: gettext_lazy("Released"),
    EventKind.BREAKER_OPENED: gettext_lazy("Breaker opened"),
    EventKind.BREAKER_HALF_OPEN: gettext_lazy("Breaker half-open"),
    EventKind.BREAKER_CLOSED: gettext_lazy("Breaker closed"),
    EventKind.ROLLING_BACK: gettext_lazy("Rolling back"),
    EventKind.GATE_OPENED: gettext_lazy("Waiting for approval"),
    EventKind.GATE_DECIDED: gettext_lazy("Decided"),
    EventKind.CONTINUED: gettext_lazy("Continued as new"),
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
"""The period that a moment begins (none if it only ends one), and its track: a period ends the one before it."""

DONE = {
    "launch": pgettext_lazy("what a person did", "launched"),
    "pause": pgettext_lazy("what a person did", "paused"),
    "resume": pgettext_lazy("what a person did", "resumed"),
    "pause worker": pgettext_lazy("what a person did", "paused a worker"),
    "resume worker": pgettext_lazy("what a person did", "resumed a worker"),
    "retry": pgettext_lazy("what a person did", "retried"),
    "skip": pgettext_lazy("what a person did", "skipped"),
    "finish": pgettext_lazy("what a person did", "finished"),
    "approve": pgettext_lazy("what a person did", "approved"),
    "refuse": pgettext_lazy("what a person did", "rejected"),
    "cancel": pgettext_lazy("what a person did", "canceled"),
    "terminate": pgettext_lazy("what a person did", "terminated"),
    "roll back": pgettext_lazy("what a person did", "rolled back"),
    "window": pgettext_lazy("what a person did", "changed max concurrency"),
    "discard": pgettext_lazy("what a person did", "discarded"),
    "tag": pgettext_lazy("what a person did", "tagged"),
    "note": pgettext_lazy("what a person did", "changed the note"),
    "watch": pgettext_lazy("what a person did", "started to watch"),
    "assign": pgettext_lazy("what a person did", "assigned"),
    "dismiss": pgettext_lazy("what a person did", "dismissed"),
    "keep": pgettext_lazy("what a person did", "marked to be kept"),
    "do not keep": pgettext_lazy("what a person did", "marked not to be kept"),
}
"""What a person did, by the action of the audit entry, which is stored and part of the API."""

KINDS = {
    "run": gettext_lazy("Running"),
    "paused": gettext_lazy("Paused"),
    "held": gettext_lazy("Held"),
    "open": gettext_lazy("Breaker open"),
    "half-open": gettext_lazy("Breaker half-open"),
    "rolling-back": gettext_lazy("Rolling back"),
    "gate": gettext_lazy("Waiting for approval"),
    "action": gettext_lazy("User actions"),
}
"""Kinds of periods and marks, for the legend."""


@dataclass(frozen=True)
class TimelineEntry:
    """An entry of the event log; `person` is the user name, if a person did it."""

    kind: str
    title: str
    at: datetime
    note: str
    person: str = ""


@dataclass(frozen=True)
class Period:
    """A period or mark on the line, from `x` on, `width` long; the line is WIDTH long."""

    kind: str
    title: str
    x: int
    width: int


@dataclass(frozen=True)
class Timeline:
    """Entries, the newest first; periods by start; user actions as marks.

    The line begins at `begin`, and ends at the batch's end or now.
    """

    entries: Sequence[TimelineEntry]
    periods: Sequence[Period]
    marks: Sequence[Period]
    begin: datetime

    @property
    def legend(self) -> Sequence[tuple[str, str]]:
        """The kinds of periods and marks on the line, each with its title."""
        shown = {each.kind for each in (*self.periods, *self.marks)}
        return [(kind, str(title)) for kind, title in KINDS.items() if kind in shown]


def timeline_of(batch: Batch) -> Timeline:
    """Return the timeline of a batch, from its launch to its end or to now."""
    moments = list(batch.moments.filter(kind__in=TITLES).order_by("-at", "-id")[:SHOWN]) if batch.moment_count else []
    audit = list(batch.audit.select_related("person")[:SHOWN])
    runs = list(Attempt.objects.filter(batch=batch, node__kind=NodeKind.ROOT).order_by("-number")[:SHOWN])
    entries = [
        *(_moment_entry(each) for each in moments),
        *(_audit_entry(each) for each in audit),
        *(entry for number, each in enumerate(runs) for entry in _run_entries(each, None if number else batch)),
    ]
    entries.sort(key=lambda entry: entry.at, reverse=True)
    scale = _Scale.of(batch, entries)
    periods = [*_run_periods(runs[::-1], scale), *_periods(moments[::-1], scale)]
    marks = [scale.period("action", f"{each.person} {each.title}", each.at, each.at) for each in entries if each.person]
    return Timeline(entries, periods, marks, scale.begin)


def _moment_entry(moment: Moment) -> TimelineEntry:
    title = str(TITLES[EventKind(moment.kind)])
    return TimelineEntry(moment.kind, title, moment.at, moment.note)


def _audit_entry(entry: AuditEntry) -> TimelineEntry:
    """Return the entry of an action; that it was accepted goes without saying."""
    note = " ".join(part for part in (entry.scope, entry.outcome if entry.outcome != ACCEPTED else "") if part)
    return TimelineEntry("action", str(DONE.get(entry.action, entry.action)), entry.at, note, person=entry.actor)


def _run_entries(run: Attempt, batch: Batch | None) -> Iterator[TimelineEntry]:
    """Yield the start and the end of a run of the root; the newest has come to what its batch has."""
    if run.started_at is not None:
        yield TimelineEntry(
            "started",
            _("Started") if run.number == 1 else _("Restarted, run %(number)s") % {"number": numeral(run.number)},
            run.started_at,
            "",
        )
    if run.closed_at is not None:
        error = f"{run.error_type}: {run.error_message}" if run.error_type else ""
        came_to = NodeStatus(run.status).label if run.status != NodeStatus.COMPLETED else _("Finished")
        if batch is not None and not batch.is_open:
            came_to = status_words(batch.shown_status, batch.shown_children)
        yield TimelineEntry("closed", str(came_to), run.closed_at, error)


@dataclass(frozen=True)
class _Scale:
    """Maps times to places on the line."""

    begin: datetime
    seconds: float
    end: datetime

    @classmethod
    def of(cls, batch: Batch, entries: Sequence[TimelineEntry]) -> Self:
        times = [entry.at for entry in entries] or [batch.created_at]
        end = batch.closed_at or timezone.now()
        begin, end = min(times), max(end, *times)
        return cls(begin, max((end - begin).total_seconds(), 1e-3), end)

    def period(self, kind: str, title: str, since: datetime, until: datetime) -> Period:
        x, stop = (round(WIDTH * (at - self.begin).total_seconds() / self.seconds) for at in (since, until))
        return Period(kind, title, min(x, WIDTH - NARROWEST), max(stop - x, NARROWEST))

    def timed_period(self, kind: str, since: datetime, until: datetime | None) -> Period:
        until = max(until or self.end, since)
        return self.period(
            kind,
            _("%(kind)s for %(duration)s")
            % {"kind": KINDS[kind], "duration": duration((until - since).total_seconds())},
            since,
            until,
        )


def _run_periods(runs: Sequence[Attempt], scale: _Scale) -> Iterator[Period]:
    return (scale.timed_period("run", each.started_at, each.closed_at) for each in runs if each.started_at is not None)


def _periods(moments: Sequence[Moment], scale: _Scale) -> Iterator[Period]:
    running = dict[tuple[str, str], tuple[str, datetime]]()
    for moment in moments:
        kind, track = PERIODS.get(EventKind(moment.kind), ("", ""))
        place = (track, moment.workflow_id)
        if track and place in running:
            yield scale.timed_period(*running.pop(place), moment.at)
        if kind:
            running[place] = kind, moment.at
    for kind, since in running.values():
        yield scale.timed_period(kind, since, None)
