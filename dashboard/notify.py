"""The notify activity and its worker, inside the web process: database first, doorbell second."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from channels.db import database_sync_to_async
from temporalio import activity
from temporalio.worker import Worker

from dashboard import live, projection
from dashboard.delivering import deliver, give_up_delivery
from dashboard.scheduled_launch import LAUNCHES_TAKEN, launch_scheduled
from dashboard.temporal import connection
from orchestration.contracts import DASHBOARD_TASK_QUEUE, NOTIFY_ACTIVITY, NotifyInput
from orchestration.worker import connect, runtime

log = logging.getLogger(__name__)

CONCURRENT_NOTIFIES = 8
DELIVERIES_TAKEN = 16

_threads = ThreadPoolExecutor(CONCURRENT_NOTIFIES, thread_name_prefix="notify")
"""Of their own: news do not queue behind what browsers are being sent."""


@activity.defn(name=NOTIFY_ACTIVITY)
async def notify(news: NotifyInput) -> None:
    """Project a batch's tree events, then ring for its viewers."""
    project = database_sync_to_async(projection.apply, thread_sensitive=False, executor=_threads)
    await project(news.batch_id, news.events)
    await live.ring(news.batch_id)


async def run_notify_worker() -> None:
    """Serve the dashboard's queue for as long as the web process lives, waiting for Temporal where it is away."""
    client = await connect(connection(), runtime=runtime())
    worker = Worker(
        client,
        task_queue=DASHBOARD_TASK_QUEUE,
        activities=[notify, launch_scheduled, deliver, give_up_delivery],
        max_concurrent_activities=CONCURRENT_NOTIFIES + LAUNCHES_TAKEN + DELIVERIES_TAKEN,
    )
    log.info("Notify worker polls %s.", DASHBOARD_TASK_QUEUE)
    await worker.run()
