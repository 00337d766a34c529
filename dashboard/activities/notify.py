"""The notify activity: projects tree events, then notifies the viewers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from channels.db import database_sync_to_async
from temporalio import activity

from dashboard.activities.outages import tried_again_soon
from dashboard.live import doorbell
from dashboard.projection.events import apply_events
from orchestration.contracts.events import NotifyInput
from orchestration.contracts.names import NOTIFY_ACTIVITY

CONCURRENT_NOTIFIES = 8
_threads = ThreadPoolExecutor(CONCURRENT_NOTIFIES, thread_name_prefix="notify")
"""A pool of its own, so that notifies do not queue behind reads for browsers."""


@activity.defn(name=NOTIFY_ACTIVITY)
@tried_again_soon
async def notify(given: NotifyInput) -> None:
    """Project a batch's tree events, then notify its viewers."""
    project = database_sync_to_async(apply_events, thread_sensitive=False, executor=_threads)
    await project(given.batch_id, given.events)
    await doorbell.announce_change(given.batch_id)
