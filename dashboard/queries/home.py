"""The home page: batches that require action, run, or have finished since the last visit. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.i18n.formatting import numeral
from dashboard.live.state import LARGE_COLUMNS, batch_state
from dashboard.models import FAILURES, OPEN_BATCH_STATUSES, Batch, BatchStatus, Hold
from dashboard.models.tallies import failed_children
from dashboard.temporal import gateway
from orchestration.client.reader import WorkerState

SHOWN = 25
"""Batches in each list, at most: the newest."""

STUCK_AFTER = timedelta(minutes=5)
"""A running batch that has not changed for this long is stuck."""

ENDED_BADLY = (BatchStatus.FAILED, BatchStatus.TIMED_OUT, BatchStatus.COMPLETED_WITH_FAILURES)


@dataclass(frozen=True)
class HomeEntry:
    """A batch, its state as live rows get it, and why it requires action."""

    batch: Batch
    state: dict[str, Any]
    reason: str = ""


@dataclass(frozen=True)
class Home:
    """Context of the page. `problem` says what is wrong with Temporal or its workers."""

    problem: str
    attention: Sequence[HomeEntry]
    running: Sequence[HomeEntry]
    ended: Sequence[HomeEntry]
    since: datetime


def home_of(since: datetime) -> Home:
    """Return the home page of a person whose last visit was at `since`."""
    attention = list(_needs_attention(since))
    shown = {entry.batch.pk for entry in attention}
    batches = _batches()
    running = batches.filter(status__in=OPEN_BATCH_STATUSES).exclude(pk__in=shown)[:SHOWN]
    ended = batches.filter(closed_at__gt=since).exclude(pk__in=shown).order_by("-closed_at")[:SHOWN]
    return Home(
        _temporal_problem(),
        attention,
        [HomeEntry(batch, batch_state(batch)) for batch in running],
        [HomeEntry(batch, batch_state(batch)) for batch in ended],
        since,
    )


def _batches() -> QuerySet[Batch]:
    return Batch.objects.select_related("launched_by").defer(*LARGE_COLUMNS)


def _needs_attention(since: datetime) -> Iterator[HomeEntry]:
    """Yield batches that require action: open ones, most urgent first, then those that ended with failures."""
    now = timezone.now()
    open_batches = _batches().filter(status__in=OPEN_BATCH_STATUSES)
    failing = Q()
    for status in FAILURES:
        failing |= Q(**{f"children_{status.value}__gt": 0})
    stuck = Q(status=BatchStatus.RUNNING, changed_at__lt=now - STUCK_AFTER)
    waiting = Q(status=BatchStatus.HELD) | Q(blocked_since__isnull=False) | ~Q(start_error="") | stuck | failing
    reasons = [(_reason(batch, now), batch) for batch in open_batches.filter(waiting)[:SHOWN]]
    for (_rank, reason), batch in sorted(reasons, key=lambda each: each[0][0]):
        yield HomeEntry(batch, batch_state(batch), reason)
    for batch in _batches().filter(status__in=ENDED_BADLY, closed_at__gt=since).order_by("-closed_at")[:SHOWN]:
        yield HomeEntry(batch, batch_state(batch), _failures(batch))


def _reason(batch: Batch, now: datetime) -> tuple[int, str]:
    """Return the rank of an open batch that requires action, and the reason."""
    if batch.held_kind == Hold.APPROVAL:
        return 0, _("Waiting for approval. %(reason)s") % {"reason": batch.held_reason}
    if batch.held_kind:
        return 1, _("Held: %(reason)s") % {"reason": batch.held_reason}
    if batch.start_error:
        return 2, _("Not started yet: %(error)s") % {"error": batch.start_error}
    if batch.blocked_since is not None:
        return 3, _("Workflow task failing: %(reason)s") % {"reason": batch.blocked["reason"]}
    if batch.status == BatchStatus.RUNNING and batch.changed_at < now - STUCK_AFTER:
        minutes = int((now - batch.changed_at).total_seconds() // 60)
        text = ngettext("Stuck: no change for %(minutes)s minute", "Stuck: no change for %(minutes)s minutes", minutes)
        return 4, text % {"minutes": numeral(minutes)}
    return 5, _("Failing: %(failures)s so far") % {"failures": _failures(batch).lower()}


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
