"""The notify activity: tree events go into the projection, then the doorbell rings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from channels.db import database_sync_to_async
from temporalio import activity

from dashboard.live import doorbell
from dashboard.projection.events import apply_events
from orchestration.contracts.events import NotifyInput
from orchestration.contracts.names import NOTIFY_ACTIVITY

CONCURRENT_NOTIFIES = 8
_threads = ThreadPoolExecutor(CONCURRENT_NOTIFIES, thread_name_prefix="notify")
"""Of their own: news do not queue behind what browsers are being sent."""


@activity.defn(name=NOTIFY_ACTIVITY)
async def notify(news: NotifyInput) -> None:
    """Project a batch's tree events, then ring for its viewers."""
    project = database_sync_to_async(apply_events, thread_sensitive=False, executor=_threads)
    await project(news.batch_id, news.events)
    await doorbell.announce_change(news.batch_id)
