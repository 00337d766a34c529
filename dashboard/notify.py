"""The notify activity and its worker, inside the web process: database first, doorbell second."""

from __future__ import annotations

import logging

from channels.db import database_sync_to_async
from temporalio import activity
from temporalio.worker import Worker

from dashboard import live, projection
from dashboard.temporal import connection
from orchestration.contracts import DASHBOARD_TASK_QUEUE, NOTIFY_ACTIVITY, NotifyInput
from orchestration.worker import connect

log = logging.getLogger(__name__)

CONCURRENT_NOTIFIES = 8


@activity.defn(name=NOTIFY_ACTIVITY)
async def notify(news: NotifyInput) -> None:
    """Project a batch's tree events, then ring for its viewers."""
    await database_sync_to_async(projection.apply, thread_sensitive=False)(news.batch_id, news.events)
    await live.ring(news.batch_id)


async def run_notify_worker() -> None:
    """Serve the dashboard's queue for as long as the web process lives, waiting for Temporal where it is away."""
    client = await connect(connection())
    worker = Worker(
        client,
        task_queue=DASHBOARD_TASK_QUEUE,
        activities=[notify],
        max_concurrent_activities=CONCURRENT_NOTIFIES,
    )
    log.info("Notify worker polls %s.", DASHBOARD_TASK_QUEUE)
    await worker.run()
