"""The notify activity and its worker, inside the web process: database first, doorbell second."""

from __future__ import annotations

import logging

from temporalio.worker import Worker

from dashboard.activities.deliver import deliver, give_up_delivery
from dashboard.activities.launch_scheduled import LAUNCHES_TAKEN, launch_scheduled
from dashboard.activities.notify import CONCURRENT_NOTIFIES, notify
from dashboard.temporal import connection
from orchestration.contracts.names import DASHBOARD_TASK_QUEUE
from orchestration.temporal.connection import connect_with_retries, runtime

log = logging.getLogger(__name__)
DELIVERIES_TAKEN = 16


async def run_notify_worker() -> None:
    """Serve the dashboard's queue for as long as the web process lives, waiting for Temporal where it is away."""
    client = await connect_with_retries(connection(), runtime=runtime())
    worker = Worker(
        client,
        task_queue=DASHBOARD_TASK_QUEUE,
        activities=[notify, launch_scheduled, deliver, give_up_delivery],
        max_concurrent_activities=CONCURRENT_NOTIFIES + LAUNCHES_TAKEN + DELIVERIES_TAKEN,
    )
    log.info("Notify worker polls %s.", DASHBOARD_TASK_QUEUE)
    await worker.run()
