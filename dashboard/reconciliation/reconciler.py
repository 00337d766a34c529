"""Reconciler: compares rows with Temporal and has repaired what no notify has said, in one task of the web process.

For each batch that is not settled: one close long-poll of its root, a count of its runs by status every few seconds,
and a listing only while the counts differ; more rarely while the rows move, because news are under way then. Several
web processes may do it at once: a repair twice changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Q

from dashboard.database.threads import in_thread
from dashboard.launching.root_input import root_input
from dashboard.live import doorbell
from dashboard.models import OPEN_BATCH_STATUSES, Attempt, Batch, Node
from dashboard.projection.settlement import set_start_error, settle
from dashboard.reconciliation.repair import repair_listed, repair_lost, repair_seen
from dashboard.temporal import gateway
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import root_id
from orchestration.temporal.connection import BatchNotRunning, TemporalUnavailable

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
"""Seconds between looks for batches to watch."""

COMPARE_EVERY = 3.0
"""Seconds between two comparisons of one batch."""

LIST_EVERY = timedelta(seconds=5.5)
"""Between two listings of one batch while it is notified of something: every other comparison."""

COMPARE_WATCHED_EVERY = 1.0
"""The same of one that Canopy did not launch: nobody notifies, so this is how late it is."""

LAUNCH_HEAD_START = timedelta(seconds=2)
"""A new batch is left to its launch for this long."""

ROOT_HEAD_START = 0.5
"""Seconds: a root reports its own close just before it closes."""

OVERLAP = timedelta(seconds=5)
"""Listings reach back this far before the last one: visibility lags by up to 50 ms, clocks by more."""

REMEMBER_EVERY = timedelta(seconds=30)
"""How often it is written down up to when a batch was compared: what a restart lists again."""

LASTING = timedelta(seconds=9)
"""A difference that stays the same for so long is looked at run by run, and again after twice the time."""

Counts = dict[Status, int]


async def run_reconciler() -> None:
    """Watch every batch that is not settled, for as long as the web process lives."""
    watches: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            for batch_id, watched_id in await in_thread(_unsettled)():
                if batch_id not in watches:
                    watch = Watch(batch_id, is_ours=not watched_id)
                    watches[batch_id] = asyncio.create_task(watch.run())
            await asyncio.sleep(LOOK_EVERY)
            watches = {batch_id: task for batch_id, task in watches.items() if not task.done()}
    finally:
        for task in watches.values():
            task.cancel()


def _unsettled() -> list[tuple[str, str]]:
    """Return the batches of which something is open, or not known to have closed: (id, workflow id if watched)."""
    is_open = Q(status__in=OPEN_BATCH_STATUSES) | Q(children_running__gt=0) | Q(children_pending__gt=0)
    return list(Batch.objects.filter(is_open).values_list("pk", "watched_id"))


@dataclass
class Watch:
    """Keeps the rows of one batch true until it is settled."""

    batch_id: str
    is_ours: bool = True
    _since: datetime | None = None
    _listed: datetime | None = None
    _known: Counts | None = None
    _difference: tuple[Counts, Counts] | None = None
    _differs_since: datetime = field(default_factory=lambda: datetime.now(UTC))
    _patience: timedelta = LASTING

    async def run(self) -> None:
        """Compare until it is settled. Gives up where Temporal is away: the next look tries again."""
        closing = asyncio.create_task(self._await_root()) if self.is_ours else None
        try:
            while not await self.compare():
                await asyncio.sleep(COMPARE_EVERY if self.is_ours else COMPARE_WATCHED_EVERY)
        except TemporalUnavailable as error:
            log.info("Batch %s cannot be compared: %s", self.batch_id, error)
        except Exception:
            log.exception("Watching batch %s failed; it is tried again.", self.batch_id)
        finally:
            if closing is not None:
                closing.cancel()

    async def _await_root(self) -> None:
        """Project the root's close the moment Temporal knows it."""
        while True:
            try:
                seen = await gateway().wait_closed(self.batch_id)
                await asyncio.sleep(ROOT_HEAD_START)
                await repair_seen(self.batch_id, [seen])
            except (TemporalUnavailable, BatchNotRunning):
                pass
            except Exception:
                log.exception("Waiting for the root of batch %s failed; it is tried again.", self.batch_id)
            await asyncio.sleep(COMPARE_EVERY)

    async def compare(self) -> bool:
        """Bring the rows to what Temporal says, and return whether the batch is settled."""
        looked = datetime.now(UTC)
        batch = await Batch.objects.filter(pk=self.batch_id).afirst()
        if batch is None:
            return True
        root = await Node.objects.aget(batch=batch, kind=NodeKind.ROOT)
        if self.is_ours and root.status == Status.PENDING and root.attempt == 0:
            await _start(batch)
            return False
        known, actual = await in_thread(_count_attempts)(batch.pk), await gateway().count_runs(batch.workflows)
        is_left = known != actual and self._is_being_told(known, looked)
        self._known = known
        if known != actual and not is_left:
            await self._repair(batch, known, actual, looked)
        if not is_left:
            await self._remember(batch, looked)
        is_over = not known.get(Status.RUNNING) and not actual.get(Status.RUNNING)
        if not is_over or (known != actual and self._patience == LASTING):
            return False
        return await _settle(batch, root)

    def _is_being_told(self, known: Counts, looked: datetime) -> bool:
        """Whether the rows move, and were listed a moment ago: what differs is probably on its way."""
        is_fresh = self._listed is not None and looked - self._listed < LIST_EVERY
        return self.is_ours and is_fresh and known != self._known

    async def _repair(self, batch: Batch, known: Counts, actual: Counts, looked: datetime) -> None:
        """List what changed lately; run by run what lasts, which is rarely anything but a run that was reset."""
        self._listed = looked
        if (known, actual) != self._difference:
            self._difference, self._differs_since, self._patience = (known, actual), looked, LASTING
        if looked - self._differs_since < self._patience:
            since = self._since or batch.reconciled_at
            await repair_listed(batch, since - OVERLAP if since else None)
        else:
            self._patience *= 2
            await repair_listed(batch, None)
            await repair_lost(batch.pk)

    async def _remember(self, batch: Batch, looked: datetime) -> None:
        self._since = looked
        if batch.reconciled_at is None or looked - batch.reconciled_at > REMEMBER_EVERY:
            await Batch.objects.filter(pk=batch.pk).aupdate(reconciled_at=looked)


async def _settle(batch: Batch, root: Node) -> bool:
    """Settle a batch of which nothing runs, if its root's newest run is known, and return whether it is settled.

    What is pending is skipped then; a retry that was asked for since the batch was read is not.
    """
    if not Status(root.status).is_outcome:
        newest = await gateway().describe_run(root.workflow_id)
        if newest is None or newest.run_id != root.run_id or not newest.status.is_outcome:
            return False
    await in_thread(settle)(batch.pk, batch.revision)
    await doorbell.announce_change(batch.pk)
    return True


async def _start(batch: Batch) -> None:
    """Start a batch whose launch did not reach Temporal, and end it again where it was discarded meanwhile.

    One that runs already is left as it is: nobody has said so to the rows yet.
    """
    if datetime.now(UTC) - batch.created_at < LAUNCH_HEAD_START:
        return
    try:
        await gateway().start(await in_thread(root_input)(batch))
        error = ""
    except Exception as problem:
        log.warning("Batch %s cannot be started: %s", batch.pk, problem)
        error = str(problem) or type(problem).__name__
    is_discarded = Node.objects.filter(batch=batch, kind=NodeKind.ROOT, status=Status.CANCELED, attempt=0)
    if await is_discarded.aexists():
        if not error:
            await gateway().terminate(root_id(batch.pk), "Discarded before it was started.")
        return
    if error != batch.start_error:
        await in_thread(set_start_error)(batch.pk, error)
        await doorbell.announce_change(batch.pk)
    if not error and (seen := await gateway().describe_run(root_id(batch.pk))) is not None:
        await repair_seen(batch.pk, [seen])


def _count_attempts(batch_id: str) -> Counts:
    counts = (
        Attempt.objects.filter(batch=batch_id, node__is_workflow=True)
        .order_by()
        .values_list("status")
        .annotate(Count("pk"))
    )
    return {Status(status): number for status, number in counts}
