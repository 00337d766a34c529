"""The activity by which the schedule of retention deletes what is due."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor

from channels.db import database_sync_to_async
from temporalio import activity
from temporalio.exceptions import ApplicationError

from dashboard.activities.outages import tried_again_soon
from dashboard.models import PruneRun
from dashboard.retention.runs import AlreadyRunning, prune
from orchestration.contracts.dashboard_activities import PruneInput, PruneResult
from orchestration.contracts.names import PRUNE_ACTIVITY

_threads = ThreadPoolExecutor(1, thread_name_prefix="retention")


@activity.defn(name=PRUNE_ACTIVITY)
@tried_again_soon
async def prune_due(given: PruneInput) -> PruneResult:
    """Delete what is due. Heartbeats after each portion; another attempt goes on with what this one leaves.

    While another run deletes it waits for that, which may have been stopped.
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()

    def beat() -> None:
        loop.call_soon_threadsafe(activity.heartbeat, context=context)

    run = database_sync_to_async(prune, thread_sensitive=False, executor=_threads)
    try:
        done = await run(given.by, beat=beat)
    except AlreadyRunning as error:
        later = PruneRun.STOPPED_AFTER
        raise ApplicationError("Another run is deleting.", type="AlreadyRunning", next_retry_delay=later) from error
    return PruneResult(done.batches, done.rows)
