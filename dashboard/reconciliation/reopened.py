"""Ended batches of which something runs in Temporal: nobody compares them any more, and no event says so.

A run was reset or started in Temporal. Or a root has reported its end and not ended, and whoever compared its batch was
stopped before seeing that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import QuerySet

from dashboard.database.bulk import slices
from dashboard.database.threads import in_thread
from dashboard.models import OPEN_BATCH_STATUSES, Attempt, Batch
from dashboard.temporal import gateway
from orchestration.contracts.workflow_ids import is_canopy_id

LOOK_EVERY = timedelta(seconds=10)
"""Two visibility queries for all batches, and one more where trees are watched."""

LOOK_BACK = timedelta(hours=1)
"""How far the first look of a process reaches: what began while no web process ran."""

OVERLAP = timedelta(seconds=15)
"""How far the others reach back before the last one: visibility lags, clocks differ."""

Found = list[tuple[str, str]]
"""Batches, as (id, workflow id if watched)."""


@dataclass
class Reopened:
    """Finds ended batches with runs that their rows do not have, or with an open root."""

    _looked_at: datetime = field(default_factory=lambda: datetime.now(UTC) - LOOK_BACK)
    _next_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def look(self) -> Found:
        """Return the batches that have to be compared, at most every LOOK_EVERY. Raises TemporalUnavailable."""
        now = datetime.now(UTC)
        if now < self._next_at:
            return []
        self._next_at = now + LOOK_EVERY
        runs = await gateway().new_runs(self._looked_at - OVERLAP)
        roots = await gateway().open_roots(ours=True)
        if await in_thread(_ended().exclude(watched_id="").exists)():
            roots |= await gateway().open_roots(ours=False)
        self._looked_at = now
        return await in_thread(_with_unknown_runs)(runs) + await in_thread(_ended_with_roots)(roots)


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
