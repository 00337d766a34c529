"""Settled batches of which something runs again: a run was reset or started in Temporal, and nobody compares them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from dashboard.database.bulk import slices
from dashboard.database.threads import in_thread
from dashboard.models import Attempt, Batch
from dashboard.temporal import gateway
from orchestration.contracts.workflow_ids import is_canopy_id

LOOK_EVERY = timedelta(seconds=10)
"""One visibility query for all batches, and one for all watched trees."""

LOOK_BACK = timedelta(hours=1)
"""How far the first look of a process reaches: what began while no web process ran."""

OVERLAP = timedelta(seconds=15)
"""How far the others reach back before the last one: visibility lags, clocks differ."""


@dataclass
class Reopened:
    """Finds batches with runs that their rows do not have."""

    _looked_at: datetime = field(default_factory=lambda: datetime.now(UTC) - LOOK_BACK)
    _next_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def look(self) -> list[tuple[str, str]]:
        """Return the batches, as (id, workflow id if watched), at most every LOOK_EVERY. Raises TemporalUnavailable."""
        now = datetime.now(UTC)
        if now < self._next_at:
            return []
        self._next_at = now + LOOK_EVERY
        runs = await gateway().new_runs(self._looked_at - OVERLAP)
        self._looked_at = now
        return await in_thread(_with_unknown_runs)(runs)


def _with_unknown_runs(runs: dict[str, str]) -> list[tuple[str, str]]:
    """Return the batches of runs ({run id: workflow id of the root}) that no row has."""
    known = set[str]()
    for some in slices(list(runs)):
        known.update(Attempt.objects.filter(run_id__in=some).values_list("run_id", flat=True))
    roots = {root for run_id, root in runs.items() if run_id not in known}
    ours = [root.removeprefix("batch-") for root in roots if is_canopy_id(root)]
    found = [(pk, "") for pk in Batch.objects.filter(pk__in=ours, watched_id="").values_list("pk", flat=True)]
    return found + list(
        Batch.objects.filter(watched_id__in=roots).exclude(watched_id="").values_list("pk", "watched_id")
    )
