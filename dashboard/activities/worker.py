"""The worker of the dashboard's activities, inside the web process."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from temporalio.worker import Worker

from dashboard.activities.deliver import deliver, give_up_delivery
from dashboard.activities.launch_scheduled import QUEUED_LAUNCHES, launch_scheduled
from dashboard.activities.notify import CONCURRENT_NOTIFIES, notify
from dashboard.temporal import connection
from orchestration.activities.activity_context import ActivityContext
from orchestration.contracts.names import DASHBOARD_TASK_QUEUE
from orchestration.temporal.connection import connect_with_retries
from orchestration.temporal.renewal import keep_current
from orchestration.temporal.runtime import runtime

log = logging.getLogger(__name__)
CONCURRENT_DELIVERIES = 16

GRACE = timedelta(seconds=1)
"""For activities at work when the process stops; then another web process does them."""


async def run_notify_worker() -> None:
    """Serve the dashboard's task queue for as long as the web process lives, waiting until Temporal is available."""
    where = connection()
    client = await connect_with_retries(where, runtime=runtime())
    worker = Worker(
        client,
        task_queue=DASHBOARD_TASK_QUEUE,
        activities=[notify, launch_scheduled, deliver, give_up_delivery],
        interceptors=[ActivityContext()],
        max_concurrent_activities=CONCURRENT_NOTIFIES + QUEUED_LAUNCHES + CONCURRENT_DELIVERIES,
        graceful_shutdown_timeout=GRACE,
    )
    log.info("Notify worker polls %s.", DASHBOARD_TASK_QUEUE)
    current = asyncio.create_task(keep_current(client, where, [worker]))
    try:
        await worker.run()
    finally:
        current.cancel()
