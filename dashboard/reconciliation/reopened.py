"""Ended batches of which something runs in Temporal: nobody compares them any more, and no event says so.

A run was reset or started in Temporal. Or a root has reported its end and not ended, and whoever compared its batch was
stopped before seeing that.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Max, QuerySet

from dashboard.database.bulk import slices
from dashboard.database.threads import in_thread
from dashboard.models import OPEN_BATCH_STATUSES, Attempt, Batch
from dashboard.temporal import gateway
from orchestration.contracts.workflow_ids import is_canopy_id

log = logging.getLogger(__name__)

UNKNOWN_BATCHES = (
    "%s batches are in Temporal and not in this database: %s. They were launched after the backup from which it was "
    "restored, or by another Canopy in the same namespace. Their items cannot be read, so their children fail; launch "
    "them again, or terminate them in Temporal."
)
NAMED = 10

LOOK_EVERY = timedelta(seconds=10)
"""Two visibility queries for all batches, and one more where trees are watched."""

LOOK_BACK = timedelta(hours=1)
"""How far the first look of a process reaches at least: what began while no web process ran."""

LOOK_BACK_AT_MOST = timedelta(days=90)
"""It reaches back to the last change of the database, which may be a restored one."""

OVERLAP = timedelta(seconds=15)
"""How far the others reach back before the last one: visibility lags, clocks differ."""

Found = list[tuple[str, str]]
"""Batches, as (id, workflow id if watched)."""


@dataclass
class Reopened:
    """Finds ended batches with runs that their rows do not have, or with an open root."""

    _looked_at: datetime | None = None
    _next_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _unknown: set[str] = field(default_factory=set)

    async def look(self) -> Found:
        """Return the batches that have to be compared, at most every LOOK_EVERY. Raises TemporalUnavailable."""
        now = datetime.now(UTC)
        if now < self._next_at:
            return []
        self._next_at = now + LOOK_EVERY
        since = self._looked_at or await in_thread(_last_change)(now)
        runs = await gateway().new_runs(since - OVERLAP)
        roots = await gateway().open_roots(ours=True)
        if await in_thread(_ended().exclude(watched_id="").exists)():
            roots |= await gateway().open_roots(ours=False)
        self._looked_at = now
        await self._report_unknown({root for root in (*runs.values(), *roots) if is_canopy_id(root)})
        return await in_thread(_with_unknown_runs)(runs) + await in_thread(_ended_with_roots)(roots)

    async def _report_unknown(self, roots: set[str]) -> None:
        """Log batches that run in Temporal and that the database does not have, once each."""
        missing = await in_thread(_missing)(roots - self._unknown)
        self._unknown |= missing
        if missing:
            log.warning(UNKNOWN_BATCHES, len(missing), ", ".join(sorted(missing)[:NAMED]))


def _last_change(now: datetime) -> datetime:
    """Return from when on runs are unexpected: from the last change of the database, an hour ago at the latest."""
    newest = Batch.objects.aggregate(newest=Max("changed_at"))["newest"] or now
    return max(min(newest, now - LOOK_BACK), now - LOOK_BACK_AT_MOST)


def _missing(roots: set[str]) -> set[str]:
    """Return those workflow ids of roots of which there is no batch."""
    known = set[str]()
    for some in slices(list(roots)):
        ids = [root.removeprefix("batch-") for root in some]
        known.update(f"batch-{pk}" for pk in Batch.objects.filter(pk__in=ids).values_list("pk", flat=True))
    return roots - known


def _with_unknown_runs(runs: dict[str, str]) -> Found:
    """Return the batches of runs ({run id: workflow id of the root}) that no row has."""
    known = set[str]()
    for some in slices(list(runs)):
        known.update(Attempt.objects.filter(run_id__in=some).values_list("run_id", flat=True))
    return _batches(Batch.objects.all(), {root for run_id, root in runs.items() if run_id not in known})


def _ended_with_roots(roots: set[str]) -> Found:
    """Return the batches that are shown as ended, of roots by their workflow ids."""
    return _batches(_ended(), roots)


def _ended() -> QuerySet[Batch]:
    return Batch.objects.exclude(status__in=OPEN_BATCH_STATUSES)


def _batches(among: QuerySet[Batch], roots: set[str]) -> Found:
    """Return the batches of roots by their workflow ids."""
    found = Found()
    for some in slices(list(roots)):
        ours = [root.removeprefix("batch-") for root in some if is_canopy_id(root)]
        found += [(pk, "") for pk in among.filter(pk__in=ours, watched_id="").values_list("pk", flat=True)]
        found += among.filter(watched_id__in=some).exclude(watched_id="").values_list("pk", "watched_id")
    return found
