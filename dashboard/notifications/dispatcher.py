"""The dispatcher: a loop of the web process that starts a delivery workflow for each new notification."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from django.utils import timezone

from dashboard.database.fencing import fenced
from dashboard.database.threads import in_thread
from dashboard.models import Delivery
from dashboard.temporal import gateway
from orchestration.telemetry import log_context
from orchestration.temporal.connection import TemporalUnavailable

log = logging.getLogger(__name__)
POLL_INTERVAL = 1.0
"""Seconds."""

DELIVERIES_AT_ONCE = 100


async def run_dispatcher() -> None:
    """Start the workflow of every notification until cancelled. Starting one twice is idempotent."""
    while True:
        try:
            for delivery_id in await in_thread(_not_started)():
                if not await in_thread(fenced(_is_to_start))(delivery_id):
                    continue
                with log_context.bound(delivery=delivery_id):
                    await gateway().notify(delivery_id)
                await in_thread(fenced(Delivery.objects.filter(pk=delivery_id).update))(started_at=timezone.now())
        except TemporalUnavailable as error:
            log.info("Notifications wait: %s", error)
        await asyncio.sleep(POLL_INTERVAL)


def _not_started() -> Sequence[str]:
    return list(
        Delivery.objects.filter(started_at=None).order_by("made_at").values_list("pk", flat=True)[:DELIVERIES_AT_ONCE]
    )


def _is_to_start(delivery_id: str) -> bool:
    return Delivery.objects.filter(pk=delivery_id, started_at=None).exists()
