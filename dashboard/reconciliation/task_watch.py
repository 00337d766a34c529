"""Task watch: finds workflows that fail their workflow task again and again, which no event reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dashboard.database.threads import in_thread
from dashboard.live import doorbell
from dashboard.models import Batch
from dashboard.projection.blocked import is_known, set_blocked
from dashboard.queries.diagnosis import entities_of
from dashboard.temporal import gateway

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between looks at one batch."""

SHARE = 0.2
"""Seconds that each open batch adds to that, so that many batches do not make many requests."""

REPORTED_EVERY = 10.0
"""Seconds between queries for what Temporal itself reports, of all batches at once."""

AT_A_LOOK = 10
"""Open workflows that one look describes in turn, beside the root and those that are suspected."""

MAX_KNOWN = 20
"""Failing workflows of a batch that are watched: it is blocked as long as one of them is."""


@dataclass
class ReportedProblems:
    """What Temporal itself reports to fail, by root, for all batches; and how many batches are looked at."""

    batches: int = 0
    by_root: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _next_at: float = 0.0

    async def look(self) -> None:
        """Ask again, at most every REPORTED_EVERY. Raises TemporalUnavailable."""
        now = asyncio.get_running_loop().time()
        if self.batches and now >= self._next_at:
            self._next_at = now + REPORTED_EVERY
            self.by_root = await gateway().reported_problems()


@dataclass
class TaskWatch:
    """Looks at the root of a batch, at what is suspected, and at its other open workflows in turn."""

    reported: ReportedProblems
    _next_at: float = 0.0
    _page: bytes = b""

    async def look(self, batch: Batch) -> None:
        """Look at a batch, at most every LOOK_EVERY, and record what is found. Raises TemporalUnavailable."""
        now = asyncio.get_running_loop().time()
        if now < self._next_at:
            return
        self._next_at = now + LOOK_EVERY + SHARE * self.reported.batches
        known, root = batch.blocked.get("workflows", []), batch.workflows.root
        suspected = [root, *self.reported.by_root.get(root, [])[: 2 * MAX_KNOWN], *await in_thread(entities_of)(batch)]
        in_turn, self._page = await gateway().open_workflows(batch.workflows, AT_A_LOOK, self._page)
        failures = await gateway().failing_tasks(known, [*suspected, *in_turn])
        failures = sorted(failures, key=lambda failure: failure.since)[:MAX_KNOWN]
        if not is_known(batch, failures):
            log.info("Batch %s: workflow tasks fail of %s.", batch.pk, [each.workflow_id for each in failures])
            await in_thread(set_blocked)(batch.pk, failures)
            await doorbell.announce_change(batch.pk)
