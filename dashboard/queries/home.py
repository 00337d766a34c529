"""The home page: batches that require action, those that run, and those that have finished. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.database.snapshot import one_snapshot
from dashboard.i18n.formatting import numeral
from dashboard.live.state import LARGE_COLUMNS, batch_state
from dashboard.models import (
    FAILURES,
    OPEN_BATCH_STATUSES,
    AuditEntry,
    Batch,
    BatchStatus,
    Hold,
    InboxEntry,
    Need,
    NodeStatus,
)
from dashboard.models.tallies import failed_children
from dashboard.temporal import gateway
from orchestration.client.reader import WorkerState

SHOWN = 25
"""Batches that require action or run, at most: the most urgent and the newest."""

SHOWN_FINISHED = 10

LOOKED_AT = 200
"""Open batches that are looked at, the newest, and those that require action."""

STUCK_AFTER = timedelta(minutes=5)
"""A batch that runs, or is scheduled, and has not changed for this long is stuck."""

MOVING = (BatchStatus.RUNNING, BatchStatus.SCHEDULED)

MOVING = (BatchStatus.SCHEDULED, BatchStatus.RUNNING)
"""Open, and waiting for nobody but a worker."""

INTENDED = (BatchStatus.CANCELED, BatchStatus.TERMINATED, BatchStatus.ROLLED_BACK, BatchStatus.COMPLETED)
"""How batches end that require nothing: as they should, or as somebody wanted."""

BADLY = tuple(status for status in BatchStatus if status not in (*OPEN_BATCH_STATUSES, *INTENDED))
"""How batches end that may require something."""

DECISIONS = ("skip", "finish", "refuse")
"""Actions on a batch as a whole by which a person accepts its failures, as the audit log names them."""

ACCEPTED = "Accepted."
"""How the outcome of such an action begins where Temporal took it; one on chosen children begins with numbers."""


@dataclass(frozen=True)
class HomeEntry:
    """A batch, its state as live rows get it, and what it needs; `is_new` if it ended since the last visit."""

    batch: Batch
    state: dict[str, Any]
    need: Need | None = None
    reason: str = ""
    is_new: bool = False

    @property
    def inbox(self) -> InboxEntry | None:
        """What people made of it."""
        return getattr(self.batch, "inbox", None)

    @property
    def retries(self) -> str:
        """Which children a retry runs: "failed", in a stopped flow all that are "unfinished"; empty if none."""
        if self.batch.status in (BatchStatus.PENDING, BatchStatus.ROLLED_BACK):
            return ""
        if self.batch.may_go_on and not self.batch.is_open and self.batch.root_status != NodeStatus.COMPLETED:
            return "unfinished"
        return "failed" if failed_children(self.batch) else ""

    @property
    def failed(self) -> int:
        """How many children failed."""
        return failed_children(self.batch)


@dataclass(frozen=True)
class Home:
    """What the page shows, of one snapshot. `problem` says what is wrong with Temporal or its workers.

    `is_first` if there has never been a batch. `has_more` names the lists that are longer than what is shown.
    """

    problem: str
    attention: Sequence[HomeEntry]
    running: Sequence[HomeEntry]
    ended: Sequence[HomeEntry]
    has_more: Sequence[str]
    is_first: bool


def home_of(since: datetime) -> Home:
    """Return the home page of a person whose last visit was at `since`."""
    now = timezone.now()
    with one_snapshot():
        rows = list(_batches().filter(pk__in=_candidates(now)))
    entries = [_entry(batch, now, since) for batch in rows]
    ranks = list(Need)
    attention = [each for each in entries if each.need is not None]
    attention.sort(key=lambda each: each.batch.closed_at or each.batch.created_at, reverse=True)
    attention.sort(key=lambda each: ranks.index(each.need or Need.FAILED))
    running = [each for each in entries if each.need is None and each.batch.is_open]
    running.sort(key=lambda each: each.batch.created_at, reverse=True)
    ended = [each for each in entries if each.need is None and not each.batch.is_open]
    ended.sort(key=lambda each: each.batch.closed_at or each.batch.changed_at, reverse=True)
    lists = {"attention": (attention, SHOWN), "running": (running, SHOWN), "ended": (ended, SHOWN_FINISHED)}
    return Home(
        _temporal_problem(),
        attention[:SHOWN],
        running[:SHOWN],
        ended[:SHOWN_FINISHED],
        [name for name, (found, most) in lists.items() if len(found) > most],
        is_first=not rows,
    )


def _batches() -> QuerySet[Batch]:
    batches = Batch.objects.select_related("launched_by", "inbox__assignee").defer(*LARGE_COLUMNS)
    return batches.annotate(was_decided=_decided())


def _decided() -> Exists:
    """Return whether a person has accepted a batch's failures since its root started."""
    decisions = AuditEntry.objects.filter(
        batch=OuterRef("pk"), action__in=DECISIONS, outcome__startswith=ACCEPTED, at__gte=OuterRef("opened_at")
    )
    return Exists(decisions)


def _candidates(now: datetime) -> set[str]:
    """Return ids of batches that may be shown; which list they belong to is decided by what is read afterwards."""
    is_open = Q(status__in=OPEN_BATCH_STATUSES)
    stuck = Q(status__in=MOVING, changed_at__lt=now - STUCK_AFTER)
    waiting = Q(status=BatchStatus.HELD) | Q(blocked_since__isnull=False) | ~Q(start_error="") | stuck | _has_failures()
    dismissed = Q(inbox__dismissed_need=Need.FAILED, inbox__dismissed_at__gte=F("closed_at"))
    badly = _has_failures() | Q(status__in=(BatchStatus.FAILED, BatchStatus.TIMED_OUT))
    closed = Batch.objects.filter(closed_at__isnull=False).exclude(is_open).order_by("-closed_at", "-pk")
    failed = Batch.objects.filter(badly, ~_decided(), status__in=BADLY, closed_at__isnull=False)
    failed = failed.exclude(dismissed).order_by("-closed_at", "-pk")
    found: Iterable[QuerySet[Batch]] = (
        Batch.objects.filter(is_open)[:LOOKED_AT],
        Batch.objects.filter(is_open & waiting)[:LOOKED_AT],
        failed[: SHOWN + 1],
        closed[: SHOWN + SHOWN_FINISHED + 1],
        Batch.objects.exclude(is_open)[:1],
    )
    return {pk for some in found for pk in some.values_list("pk", flat=True)}


def _has_failures() -> Q:
    failures = Q()
    for status in FAILURES:
        failures |= Q(**{f"children_{status.value}__gt": 0})
    return failures


def _entry(batch: Batch, now: datetime, since: datetime) -> HomeEntry:
    state, inbox = batch_state(batch), getattr(batch, "inbox", None)
    need, reason, begin = _need(batch, now) if batch.is_open else _need_of_closed(batch)
    if need is None or (inbox is not None and inbox.has_dismissed(need, begin)):
        return HomeEntry(batch, state, is_new=batch.closed_at is not None and batch.closed_at > since)
    return HomeEntry(batch, state, need, reason)


Reason = tuple[Need | None, str, datetime]
"""What a batch needs, why in words, and since when."""


def _need(batch: Batch, now: datetime) -> Reason:
    """Return what an open batch needs."""
    begin = batch.opened_at or batch.created_at
    if batch.held_kind == Hold.APPROVAL:
        return Need.APPROVAL, _("Waiting for approval. %(reason)s") % {"reason": batch.held_words}, _held(batch)
    if batch.held_kind:
        return Need.DECISION, _("Held: %(reason)s") % {"reason": batch.held_words}, _held(batch)
    if batch.start_error:
        return Need.START, _("Not started yet: %(error)s") % {"error": batch.start_error}, begin
    if batch.blocked_since is not None:
        reason = _("Workflow task failing: %(reason)s") % {"reason": batch.blocked["reason"]}
        return Need.BLOCKED, reason, batch.blocked_since
    if batch.status in MOVING and batch.changed_at < now - STUCK_AFTER:
        minutes = int((now - batch.changed_at).total_seconds() // 60)
        text = ngettext("Stuck: no change for %(minutes)s minute", "Stuck: no change for %(minutes)s minutes", minutes)
        return Need.STUCK, text % {"minutes": numeral(minutes)}, batch.changed_at
    if failed_children(batch):
        return Need.FAILING, _("Failing: %(failures)s so far") % {"failures": _failures(batch)}, begin
    return None, "", begin


def _held(batch: Batch) -> datetime:
    return batch.held_at or batch.created_at


def _need_of_closed(batch: Batch) -> Reason:
    """Return what a closed batch needs: nothing where a person decided to end it, or to go on without its failures."""
    end = batch.closed_at or batch.changed_at
    ended_badly = failed_children(batch) or batch.status in (BatchStatus.FAILED, BatchStatus.TIMED_OUT)
    if batch.status in INTENDED or not ended_badly or batch.was_decided:  # type: ignore[attr-defined]
        return None, "", end
    return Need.FAILED, _failures(batch), end


def _failures(batch: Batch) -> str:
    number = failed_children(batch)
    if not number:
        return _("Failed")
    words = ngettext("%(number)s child failed", "%(number)s children failed", number)
    return words % {"number": numeral(number)}


def _temporal_problem() -> str:
    health = async_to_sync(gateway().health)()
    if not health.reachable:
        return _("Can't reach Temporal. Nothing is lost: batches continue automatically once it is back.")
    age = health.worker_heartbeat_age
    if age is None:
        return _("No worker found: nothing runs until one is started.")
    if health.worker is WorkerState.FROZEN:
        return _("The worker is not answering: its process lives, but has done nothing for %(age)s s.") % {
            "age": f"{age:,.0f}"
        }
    if not health.has_worker:
        return _("No worker is running: the last heartbeat was %(age)s s ago. Nothing runs until a worker is back.") % {
            "age": f"{age:,.0f}"
        }
    return ""
