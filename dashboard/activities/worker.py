"""The worker of the dashboard's activities, inside the web process."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from django.conf import settings
from temporalio.service import RPCError
from temporalio.worker import Worker

from dashboard.activities.deliver import deliver, give_up_delivery
from dashboard.activities.launch_scheduled import QUEUED_LAUNCHES, launch_scheduled
from dashboard.activities.notify import CONCURRENT_NOTIFIES, notify
from dashboard.activities.prune import prune_due
from dashboard.temporal import connection, gateway
from orchestration.activities.activity_context import ActivityContext
from orchestration.contracts.names import DASHBOARD_TASK_QUEUE
from orchestration.temporal.connection import TemporalUnavailable, connect_with_retries
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
        activities=[notify, launch_scheduled, deliver, give_up_delivery, prune_due],
        interceptors=[ActivityContext()],
        max_concurrent_activities=CONCURRENT_NOTIFIES + QUEUED_LAUNCHES + CONCURRENT_DELIVERIES + 1,
        graceful_shutdown_timeout=GRACE,
    )
    await _set_prune_schedule()
    log.info("Notify worker polls %s.", DASHBOARD_TASK_QUEUE)
    current = asyncio.create_task(keep_current(client, where, [worker]))
    try:
        await worker.run()
    finally:
        current.cancel()


async def _set_prune_schedule() -> None:
    """Have retention run as the settings say. What Temporal cannot read is logged, and no reason not to serve."""
    try:
        await gateway().prune_schedule.set(settings.CANOPY_PRUNE_AT)
    except (TemporalUnavailable, RPCError) as error:
        log.error("Retention has no schedule (CANOPY_PRUNE_AT=%r): %s", settings.CANOPY_PRUNE_AT, error)
