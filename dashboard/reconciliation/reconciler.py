"""Reconciler: compares rows with Temporal and repairs what no notify reported, in a task of the web process.

For each batch that is not settled there is one long-poll for the close of its root, a count of its runs by status every
few seconds, and a listing only while the counts differ; more rarely while the rows change, because events are in flight
then. One web process does it at a time. What it writes ends with `fencing.confirm`; repairs are idempotent beyond that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Q

from dashboard.database.fencing import Replaced, fenced
from dashboard.database.threads import in_thread
from dashboard.launching.root_input import root_input
from dashboard.live import doorbell
from dashboard.metrics import definitions as metrics
from dashboard.models import OPEN_BATCH_STATUSES, Attempt, Batch, Node
from dashboard.projection.settlement import set_start_error, settle
from dashboard.reconciliation.flow_states import FlowStates
from dashboard.reconciliation.queue_watch import QueueWatch
from dashboard.reconciliation.reopened import Reopened
from dashboard.reconciliation.repair import repair_listed, repair_lost, repair_runs
from dashboard.reconciliation.task_watch import ReportedProblems, TaskWatch
from dashboard.reconciliation.unanswered import Unanswered
from dashboard.reconciliation.unrecorded import take_over_unrecorded
from dashboard.server.outages import log_failure
from dashboard.temporal import gateway
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import root_id
from orchestration.telemetry import log_context, tracing
from orchestration.temporal.connection import BatchNotRunning, TemporalUnavailable

log = logging.getLogger(__name__)

FIND_EVERY = 2.0
"""Seconds between queries for unsettled batches."""

COMPARE_EVERY = 3.0
"""Seconds between comparisons of one batch."""

LIST_EVERY = timedelta(seconds=5.5)
"""Between listings of one batch while notifies arrive: every other comparison."""

COMPARE_WATCHED_EVERY = 1.0
"""Seconds between comparisons of a watched batch. Nothing notifies of it, so its rows lag by as much."""

LAUNCH_HEAD_START = timedelta(seconds=2)
"""Age from which a batch that is not started is: until then its launch may do it."""

ROOT_HEAD_START = 0.5
"""Seconds left to the root's own report of its close, which it sends just before."""

OVERLAP = timedelta(seconds=5)
"""How far listings reach back before the last one: visibility lags by up to 50 ms, clocks differ by more."""

CHECKPOINT_EVERY = timedelta(seconds=30)
"""How often the time of the last comparison is stored, from which a restart lists again."""

LASTING_DIFFERENCE = timedelta(seconds=9)
"""After this long an unchanged difference is examined run by run, and again after twice the time."""

Counts = dict[Status, int]


async def run_reconciler() -> None:
    """Reconcile every batch that is not settled, for as long as the web process lives."""
    tasks: dict[str, asyncio.Task[None]] = {}
    reopened, reported, queues = Reopened(), ReportedProblems(), QueueWatch()
    looking = [asyncio.create_task(_keep_looking(look, otherwise)) for look, otherwise in _looks()]
    try:
        while True:
            for batch_id, watched_id in [*await in_thread(_unsettled)(), *await _look(reopened, reported, queues)]:
                if batch_id not in tasks:
                    is_ours, watch = not watched_id, TaskWatch(reported)
                    reconciler = BatchReconciler(batch_id, is_ours=is_ours, watch=watch, queues=queues)
                    tasks[batch_id] = asyncio.create_task(reconciler.run())
            await asyncio.sleep(FIND_EVERY)
            tasks = {batch_id: task for batch_id, task in tasks.items() if not task.done()}
            reported.batches = len(tasks)
            metrics.reconciled_batches.set(len(tasks))
            metrics.reconciler_looked_at.set_to_current_time()
    finally:
        metrics.reconciled_batches.set(0)
        for task in (*looking, *tasks.values()):
            task.cancel()


def _looks() -> list[tuple[Callable[[], Awaitable[None]], str]]:
    """Return what is done beside comparing batches, and what is logged where that fails."""
    return [
        (Unanswered().look, "Commands without an answer cannot be looked up; it is tried again."),
        (FlowStates().look, "The states of stopped flows cannot be kept; it is tried again."),
    ]


async def _keep_looking(look: Callable[[], Awaitable[None]], otherwise: str) -> None:
    """Look again and again for as long as the web process lives, beside what is reconciled."""
    while True:
        try:
            await look()
        except Exception as error:
            log_failure(log, otherwise, error=error)
        await asyncio.sleep(FIND_EVERY)


async def _look(reopened: Reopened, reported: ReportedProblems, queues: QueueWatch) -> list[tuple[str, str]]:
    try:
        await reported.look()
        await queues.look()
        return await reopened.look()
    except TemporalUnavailable:
        return []


def _unsettled() -> list[tuple[str, str]]:
    """Return the batches that are open, or have children that are: (id, workflow id if watched)."""
    is_open = Q(status__in=OPEN_BATCH_STATUSES) | Q(children_running__gt=0) | Q(children_pending__gt=0)
    return list(Batch.objects.filter(is_open).values_list("pk", "watched_id"))


@dataclass
class BatchReconciler:
    """Keeps the rows of one batch consistent with Temporal until it is settled."""

    batch_id: str
    is_ours: bool = True
    watch: TaskWatch = field(default_factory=lambda: TaskWatch(ReportedProblems()))
    queues: QueueWatch = field(default_factory=QueueWatch)
    _since: datetime | None = None
    _listed_at: datetime | None = None
    _known: Counts | None = None
    _difference: tuple[Counts, Counts] | None = None
    _differs_since: datetime = field(default_factory=lambda: datetime.now(UTC))
    _patience: timedelta = LASTING_DIFFERENCE

    async def run(self) -> None:
        """Compare until it is settled. Ends early on an error, to be started again by the next query."""
        log_context.bind(batch=self.batch_id)
        closing = asyncio.create_task(self._await_root()) if self.is_ours else None
        try:
            while not await self.compare():
                await asyncio.sleep(COMPARE_EVERY if self.is_ours else COMPARE_WATCHED_EVERY)
        except Exception as error:
            log_failure(log, "Reconciling batch %s failed; it is tried again.", self.batch_id, error=error)
        finally:
            if closing is not None:
                closing.cancel()

    async def _await_root(self) -> None:
        """Project the root's close as soon as Temporal knows it."""
        while True:
            try:
                seen = await gateway().wait_closed(self.batch_id)
                await asyncio.sleep(ROOT_HEAD_START)
                await repair_runs(self.batch_id, [seen])
            except BatchNotRunning:
                pass
            except Exception as error:
                log_failure(
                    log, "Waiting for the root of batch %s failed; it is tried again.", self.batch_id, error=error
                )
            await asyncio.sleep(COMPARE_EVERY)

    async def compare(self) -> bool:
        """Bring the rows in line with Temporal, and return whether the batch is settled."""
        compared_at = datetime.now(UTC)
        batch = await in_thread(Batch.objects.filter(pk=self.batch_id).first)()
        if batch is None:
            return True
        if batch.is_discarded:
            await _end_discarded(batch)
            return True
        root = await in_thread(Node.objects.get)(batch=batch, kind=NodeKind.ROOT)
        if self.is_ours and root.status == Status.PENDING and root.attempt == 0:
            await _start_pending(batch)
            return False
        await self.watch.look(batch)
        if self.is_ours:
            await self.queues.record(batch)
        known, actual = await in_thread(_count_attempts)(batch.pk), await gateway().count_runs(batch.workflows)
        is_catching_up = known != actual and self._is_catching_up(known, compared_at)
        self._known = known
        if known != actual and not is_catching_up:
            await self._repair(batch, known, actual, compared_at)
            self._known = await in_thread(_count_attempts)(batch.pk)
        if not is_catching_up:
            await self._checkpoint(batch, compared_at)
        is_over = not known.get(Status.RUNNING) and not actual.get(Status.RUNNING)
        if not is_over or (known != actual and self._patience == LASTING_DIFFERENCE):
            return False
        return await _settle(batch, root)

    def _is_catching_up(self, known: Counts, compared_at: datetime) -> bool:
        """Whether events change the rows, which were listed a moment ago: the rest of them is probably in flight."""
        is_fresh = self._listed_at is not None and compared_at - self._listed_at < LIST_EVERY
        return self.is_ours and is_fresh and known != self._known

    async def _repair(self, batch: Batch, known: Counts, actual: Counts, compared_at: datetime) -> None:
        """List recent changes. A lasting difference is examined run by run; its usual cause is a run that was reset."""
        self._listed_at = compared_at
        if (known, actual) != self._difference:
            self._difference, self._differs_since, self._patience = (known, actual), compared_at, LASTING_DIFFERENCE
        if compared_at - self._differs_since < self._patience:
            since = self._since or batch.reconciled_at
            await repair_listed(batch, since - OVERLAP if since else None)
        else:
            self._patience *= 2
            await repair_listed(batch, None)
            await repair_lost(batch.pk)
            if self.is_ours:
                await take_over_unrecorded(batch)

    async def _checkpoint(self, batch: Batch, compared_at: datetime) -> None:
        self._since = compared_at
        if batch.reconciled_at is None or compared_at - batch.reconciled_at > CHECKPOINT_EVERY:
            await in_thread(fenced(Batch.objects.filter(pk=batch.pk).update))(reconciled_at=compared_at)


async def _settle(batch: Batch, root: Node) -> bool:
    """Settle a batch of which nothing runs, if its root's newest run is known, and return whether it is settled.

    Pending nodes are skipped, unless a retry was accepted since the batch was read. A retry of which Temporal knows
    nothing any more is taken back.
    """
    is_lost = False
    if not Status(root.status).is_outcome:
        newest = await gateway().describe_run(root.workflow_id)
        is_lost = newest is None and root.status == Status.PENDING
        if not is_lost and (newest is None or newest.run_id != root.run_id or not newest.status.is_outcome):
            return False
    await in_thread(settle)(batch.pk, batch.revision, is_lost=is_lost)
    await doorbell.announce_change(batch.pk)
    return True


async def _start_pending(batch: Batch) -> None:
    """Start a batch whose launch did not reach Temporal, and terminate it if it was discarded meanwhile.

    A root that runs already is only projected: the rows do not know it yet.
    """
    if datetime.now(UTC) - batch.created_at < LAUNCH_HEAD_START:
        return
    try:
        root = await in_thread(fenced(root_input))(batch)
        with tracing.continued(batch.traceparent, "start"):
            await gateway().start(root)
        error = ""
    except Replaced:
        raise
    except Exception as problem:
        log.warning("Batch %s cannot be started: %s", batch.pk, problem)
        error = str(problem) or type(problem).__name__
    is_discarded = Node.objects.filter(batch=batch, kind=NodeKind.ROOT, status=Status.CANCELED, attempt=0)
    if await in_thread(is_discarded.exists)():
        if not error:
            await _end_discarded(batch)
        return
    if error != batch.start_error:
        await in_thread(set_start_error)(batch.pk, error)
        await doorbell.announce_change(batch.pk)
    if not error and (seen := await gateway().describe_run(root_id(batch.pk))) is not None:
        await repair_runs(batch.pk, [seen])


async def _end_discarded(batch: Batch) -> None:
    """Terminate the root of a batch that was discarded while the request to start it was on its way."""
    with suppress(BatchNotRunning):
        await gateway().terminate(root_id(batch.pk), "Discarded before it was started.")


def _count_attempts(batch_id: str) -> Counts:
    counts = (
        Attempt.objects.filter(batch=batch_id, node__is_workflow=True)
        .order_by()
        .values_list("status")
        .annotate(Count("pk"))
    )
    return {Status(status): number for status, number in counts}
