"""Repair: projects, as tree events, what Temporal knows of a batch's runs and the rows do not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.db import DataError

from dashboard.database.bulk import slices
from dashboard.database.threads import in_thread
from dashboard.live import doorbell
from dashboard.metrics import definitions as metrics
from dashboard.models import Attempt, Batch
from dashboard.projection.events import apply_events
from dashboard.reconciliation.forgotten import ends_of_children, ends_of_parents
from dashboard.reconciliation.places import places_of
from dashboard.temporal import gateway
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.events import EventKind, Place, TreeEvent
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import root_id

log = logging.getLogger(__name__)

NOTIFY_HEAD_START = timedelta(seconds=2)
"""What happened less than this ago may still be notified."""

REOPEN_AFTER = timedelta(seconds=5)
"""So long after its reported end a run that Temporal still has open counts as open."""

RUNS_AT_ONCE = 250
"""Runs that are compared and repaired together, so that memory stays flat whatever the batch's size."""

LOOKUPS_AT_ONCE = 10
"""Concurrent requests for runs and failures."""

T = TypeVar("T")


async def repair_listed(batch: Batch, since: datetime | None) -> None:
    """List the runs that started or closed since a time (None: all), and project what the rows do not know."""
    tree = batch.workflows
    listings = (
        [gateway().runs(tree)]
        if since is None
        else [gateway().runs(tree, started_since=since), gateway().runs(tree, closed_since=since)]
    )
    if batch.watched_id:
        await _repair_watched(batch.pk, listings)
        return
    for listing in listings:
        async for runs in _listed_slices(listing):
            await repair_runs(batch.pk, [run for run in runs if _is_past_notify(run)])


async def _repair_watched(batch_id: str, listings: Iterable[AsyncIterator[WorkflowRun]]) -> None:
    """Project all listed runs, the oldest first, so that a parent is known before its children."""
    found = {run.run_id: run for listing in listings async for run in listing}
    for runs in slices(sorted(found.values(), key=_started_at), RUNS_AT_ONCE):
        await repair_runs(batch_id, runs, kind="watched")


def _started_at(run: WorkflowRun) -> datetime:
    return run.started_at


def _is_past_notify(run: WorkflowRun) -> bool:
    return (run.closed_at or run.started_at) < datetime.now(UTC) - NOTIFY_HEAD_START


async def repair_lost(batch_id: str) -> None:
    """Describe each run that is open in the rows; one that Temporal no longer knows ended as the results say."""
    gone = list[tuple[str, str]]()
    for attempts in slices(await in_thread(_open_attempts)(batch_id), RUNS_AT_ONCE):
        seen = await _gather([gateway().describe_run(workflow_id, run_id) for workflow_id, run_id in attempts])
        await repair_runs(batch_id, [run for run in seen if run is not None])
        gone += [attempt for attempt, run in zip(attempts, seen, strict=True) if run is None]
    if gone:
        metrics.repairs.labels("lost").inc(len(gone))
        log.warning("Batch %s (%s): Temporal no longer knows %s runs.", batch_id, root_id(batch_id), len(gone))
    for ends_of in (ends_of_children, ends_of_parents):
        for runs in slices(gone, RUNS_AT_ONCE):
            if events := await in_thread(ends_of)(batch_id, runs):
                await _project(batch_id, events)


def _open_attempts(batch_id: str) -> list[tuple[str, str]]:
    is_execution = Attempt.objects.filter(batch=batch_id, node__is_workflow=True)
    running = is_execution.filter(status=Status.RUNNING).order_by("pk")
    return list(running.values_list("node__workflow_id", "run_id"))


async def repair_runs(batch_id: str, runs: Sequence[WorkflowRun], *, kind: str = "missed") -> None:
    """Project those of some runs that the rows lack or have in an earlier state, counted as repairs of a kind."""
    missing = await in_thread(_runs_to_repair)(batch_id, runs) if runs else []
    if not missing:
        return
    metrics.repairs.labels(kind).inc(len(missing))
    log.info("Batch %s: %s runs were not notified.", batch_id, len(missing))
    places = await in_thread(places_of)(batch_id, missing)
    found = await _gather([_events_of(run, places.get(run.run_id)) for run in missing])
    try:
        await _project(batch_id, [event for events in found for event in events])
    except DataError:
        await _project_each(batch_id, found)


async def _project_each(batch_id: str, found: Sequence[Sequence[TreeEvent]]) -> None:
    """Project the events of one run after another: one that cannot be stored must not keep the others out."""
    for events in found:
        try:
            await _project(batch_id, events)
        except DataError:
            log.exception("Batch %s: %s cannot be stored.", batch_id, events[0].workflow_id)


def _runs_to_repair(batch_id: str, runs: Sequence[WorkflowRun]) -> list[WorkflowRun]:
    """Return the runs that the rows lack, have open or closed wrongly, or have with an earlier, other outcome."""
    ids = {run.workflow_id for run in runs}
    attempts = Attempt.objects.filter(batch=batch_id, node__workflow_id__in=ids)
    rows = attempts.values_list("run_id", "status", "closed_at")
    known = {run_id: (status, closed_at) for run_id, status, closed_at in rows}
    return [run for run in runs if run.run_id not in known or _is_outdated(run, *known[run.run_id])]


def _is_outdated(run: WorkflowRun, status: str, closed_at: datetime | None) -> bool:
    if run.closed_at is None:
        return closed_at is not None and closed_at < datetime.now(UTC) - REOPEN_AFTER
    if status == run.status:
        return False
    return closed_at is None or run.closed_at > closed_at


async def _events_of(run: WorkflowRun, place: Place | None) -> list[TreeEvent]:
    started = TreeEvent(EventKind.STARTED, run.workflow_id, run.run_id, run.started_at, place=place)
    if run.closed_at is None:
        return [started, *await _reopened(run)]
    failure = run.failure
    if failure is None and run.status.is_retryable:
        failure = await gateway().failure_of(run.workflow_id, run.last_run_id or run.run_id)
    closed = TreeEvent(EventKind.CLOSED, run.workflow_id, run.run_id, run.closed_at, run.status, failure)
    return [started, *await gateway().undelivered_events(run), closed]


async def _reopened(run: WorkflowRun) -> list[TreeEvent]:
    """Return the event that a run is open, if Temporal says so itself: a listing lags behind.

    A root reports its end just before it ends. What then fails its last workflow task keeps it open.
    """
    at, seen = datetime.now(UTC), await gateway().describe_run(run.workflow_id, run.run_id)
    if seen is None or seen.closed_at is not None or seen.run_id != run.run_id:
        return []
    return [TreeEvent(EventKind.REOPENED, run.workflow_id, run.run_id, at)]


async def _project(batch_id: str, events: Sequence[TreeEvent]) -> None:
    await in_thread(apply_events)(batch_id, events)
    await doorbell.announce_change(batch_id)


async def _gather(lookups: Iterable[Awaitable[T]]) -> list[T]:
    """Await lookups, LOOKUPS_AT_ONCE at a time."""
    places = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def one(lookup: Awaitable[T]) -> T:
        async with places:
            return await lookup

    return list(await asyncio.gather(*(one(lookup) for lookup in lookups)))


async def _listed_slices(runs: AsyncIterator[WorkflowRun]) -> AsyncIterator[list[WorkflowRun]]:
    """Yield a listing in slices of at most RUNS_AT_ONCE, each as soon as it is complete."""
    found = list[WorkflowRun]()
    async for run in runs:
        found.append(run)
        if len(found) == RUNS_AT_ONCE:
            yield found
            found = []
    yield found
