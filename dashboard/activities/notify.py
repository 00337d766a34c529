"""The notify activity: projects tree events, then notifies the viewers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

from channels.db import database_sync_to_async
from temporalio import activity

from dashboard.activities.outages import tried_again_soon
from dashboard.live import doorbell
from dashboard.metrics import definitions as metrics
from dashboard.projection.events import apply_events
from orchestration.contracts.events import NotifyInput, TreeEvent
from orchestration.contracts.names import NOTIFY_ACTIVITY
from orchestration.telemetry import tracing

CONCURRENT_NOTIFIES = 8
_threads = ThreadPoolExecutor(CONCURRENT_NOTIFIES, thread_name_prefix="notify")
"""A pool of its own, so that notifies do not queue behind reads for browsers."""


@activity.defn(name=NOTIFY_ACTIVITY)
@tried_again_soon
async def notify(given: NotifyInput) -> None:
    """Project a batch's tree events, then notify its viewers."""
    project = database_sync_to_async(apply_events, thread_sensitive=False, executor=_threads)
    with tracing.span("write rows", batch=given.batch_id, events=len(given.events)), _measured(given.events):
        await project(given.batch_id, given.events)
    await doorbell.announce_change(given.batch_id)


@contextmanager
def _measured(events: Sequence[TreeEvent]) -> Iterator[None]:
    """Count events as pending while the block writes them, and observe how late they are once it has."""
    began = time.monotonic()
    metrics.projection_pending.inc(len(events))
    try:
        yield
    finally:
        metrics.projection_pending.dec(len(events))
    metrics.projection_seconds.observe(time.monotonic() - began)
    if events:
        oldest = min(event.at for event in events)
        metrics.notify_lag.observe(max(0.0, (datetime.now(UTC) - oldest).total_seconds()))
