"""Reconciler: compares rows with Temporal and repairs what no notify has said, in one task of the web process.

For each batch that is not settled: one close long-poll of its root, a count of its runs by status every few seconds,
and a listing only while the counts differ. It writes through `projection`, as the notify activity does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import ParamSpec, TypeVar

from channels.db import database_sync_to_async
from django.db.models import Count, Q

from dashboard import live, projection
from dashboard.launching import fan_out_input
from dashboard.models import OPEN_BATCH_STATUSES, Attempt, Batch, Node
from dashboard.temporal import gateway
from orchestration.contracts import EVENTS_PER_NOTIFY, EventKind, Failure, NodeKind, Status, TreeEvent
from orchestration.gateway import BatchNotRunning, RunSeen, TemporalUnavailable
from orchestration.plan import root_id

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
"""Seconds between looks for batches to watch."""

COMPARE_EVERY = 3.0
"""Seconds between two comparisons of one batch."""

NOTIFY_HEAD_START = timedelta(seconds=2)
"""What happened less than this ago is left to notify, and a new batch to its launch."""

ROOT_HEAD_START = 0.5
"""Seconds: a root reports its own close just before it closes."""

OVERLAP = timedelta(seconds=5)
"""Listings reach back this far before the last one: visibility lags by up to 50 ms, clocks by more."""

FAILURE_LOOKUPS = 10
"""Failures asked for at the same time."""

GONE = Failure("Terminated", "Temporal no longer knows this batch.")

P = ParamSpec("P")
R = TypeVar("R")


async def run_reconciler() -> None:
    """Watch every batch that is not settled, for as long as the web process lives."""
    watches: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            for batch_id in await _in_thread(_unsettled)():
                if batch_id not in watches:
                    watches[batch_id] = asyncio.create_task(_watch(batch_id))
            await asyncio.sleep(LOOK_EVERY)
            watches = {batch_id: task for batch_id, task in watches.items() if not task.done()}
    finally:
        for task in watches.values():
            task.cancel()


def _in_thread(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    wrapped: Callable[P, Awaitable[R]] = database_sync_to_async(function, thread_sensitive=False)
    return wrapped


def _unsettled() -> list[str]:
    """Return the batches of which something is open, or not known to have closed."""
    is_open = Q(status__in=OPEN_BATCH_STATUSES) | Q(children_running__gt=0) | Q(children_pending__gt=0)
    return list(Batch.objects.filter(is_open).values_list("pk", flat=True))


async def _watch(batch_id: str) -> None:
    """Keep one batch true until it is settled. Gives up where Temporal is away: the next look tries again."""
    closing = asyncio.create_task(_await_root(batch_id))
    since: datetime | None = None
    try:
        while True:
            looked = datetime.now(UTC)
            if await _compare(batch_id, since):
                return
            since = looked - OVERLAP
            await asyncio.sleep(COMPARE_EVERY)
    except TemporalUnavailable as error:
        log.info("Batch %s cannot be compared: %s", batch_id, error)
    except Exception:
        log.exception("Watching batch %s failed; it is tried again.", batch_id)
    finally:
        closing.cancel()


async def _await_root(batch_id: str) -> None:
    """Project the root's close the moment Temporal knows it."""
    while True:
        try:
            seen = await gateway().wait_closed(batch_id)
            await asyncio.sleep(ROOT_HEAD_START)
            await _repair(batch_id, await _in_thread(_missing)([seen]))
        except (TemporalUnavailable, BatchNotRunning):
            pass
        await asyncio.sleep(COMPARE_EVERY)


async def _compare(batch_id: str, since: datetime | None) -> bool:
    """Bring one batch's rows to what Temporal says, and return whether it is settled.

    `since` is the time of the last comparison; without one, all its runs are listed where the counts differ.
    """
    batch = await Batch.objects.filter(pk=batch_id).afirst()
    if batch is None:
        return True
    root = await Node.objects.aget(batch=batch, kind=NodeKind.ROOT)
    if root.status == Status.PENDING and root.attempt == 0:
        await _start(batch)
        return False
    if await _in_thread(_count_attempts)(batch_id) != await gateway().count_runs(batch_id):
        await _list_and_repair(batch_id, since)
        return False
    if Status(root.status) in (Status.PENDING, Status.RUNNING):
        if await gateway().describe_run(root_id(batch_id)) is None:
            now = datetime.now(UTC)
            gone = TreeEvent(EventKind.CLOSED, root.workflow_id, root.run_id, now, Status.TERMINATED, GONE)
            await _project(batch_id, [gone])
        return False
    await _in_thread(projection.settle)(batch_id, batch.revision)
    await live.ring(batch_id)
    return True


async def _start(batch: Batch) -> None:
    """Start a batch whose launch did not reach Temporal."""
    if datetime.now(UTC) - batch.created_at < NOTIFY_HEAD_START:
        return
    try:
        await gateway().start(await _in_thread(fan_out_input)(batch))
        error = ""
    except TemporalUnavailable as unavailable:
        error = str(unavailable)
    if error != batch.start_error:
        await _in_thread(projection.note_start_error)(batch.pk, error)
        await live.ring(batch.pk)


def _count_attempts(batch_id: str) -> dict[Status, int]:
    counts = Attempt.objects.filter(batch=batch_id).order_by().values_list("status").annotate(Count("pk"))
    return {Status(status): number for status, number in counts}


async def _list_and_repair(batch_id: str, since: datetime | None) -> None:
    recent = datetime.now(UTC) - NOTIFY_HEAD_START
    seen = dict[str, RunSeen]()
    listings = (
        [gateway().runs(batch_id)]
        if since is None
        else [
            gateway().runs(batch_id, started_since=since),
            gateway().runs(batch_id, closed_since=since),
        ]
    )
    for listing in listings:
        async for run in listing:
            if (run.closed_at or run.started_at) < recent:
                seen[run.run_id] = run
    missing = await _in_thread(_missing)(list(seen.values()))
    for first in range(0, len(missing), EVENTS_PER_NOTIFY // 2):
        await _repair(batch_id, missing[first : first + EVENTS_PER_NOTIFY // 2])


def _missing(runs: Sequence[RunSeen]) -> list[RunSeen]:
    """Return the runs that the rows do not know, or know in an earlier state."""
    known = dict[str, str]()
    for first in range(0, len(runs), 500):
        ids = [run.run_id for run in runs[first : first + 500]]
        known.update(Attempt.objects.filter(run_id__in=ids).values_list("run_id", "status"))
    return [run for run in runs if run.run_id not in known or known[run.run_id] == Status.RUNNING != run.status]


async def _repair(batch_id: str, runs: Sequence[RunSeen]) -> None:
    if not runs:
        return
    log.info("Batch %s: %s runs were not notified.", batch_id, len(runs))
    places = asyncio.Semaphore(FAILURE_LOOKUPS)

    async def events_of(run: RunSeen) -> list[TreeEvent]:
        started = TreeEvent(EventKind.STARTED, run.workflow_id, run.run_id, run.started_at)
        if run.closed_at is None:
            return [started]
        failure = run.failure
        if failure is None and run.status.is_retryable:
            async with places:
                failure = await gateway().failure_of(run.workflow_id, run.run_id)
        closed = TreeEvent(EventKind.CLOSED, run.workflow_id, run.run_id, run.closed_at, run.status, failure)
        return [started, closed]

    found = await asyncio.gather(*(events_of(run) for run in runs))
    await _project(batch_id, [event for events in found for event in events])


async def _project(batch_id: str, events: Iterable[TreeEvent]) -> None:
    await _in_thread(projection.apply)(batch_id, list(events))
    await live.ring(batch_id)
