"""The notify activity and the lifespan that serves it: database first, doorbell second, with or without Temporal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from pytest_django import Settings
from temporalio.testing import ActivityEnvironment

from dashboard.activities import notify
from dashboard.asgi import BACKGROUND, application
from dashboard.live import doorbell
from dashboard.models import Batch, Node
from dashboard.temporal import gateway
from orchestration.contracts.events import NotifyInput
from orchestration.contracts.status import Status
from tests.support.builders import MakeBatch, child_of, closed

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 60.0


@pytest.fixture
def batch(make_batch: MakeBatch) -> Batch:
    return make_batch()


async def test_rows_are_written_before_the_bell_rings(batch: Batch) -> None:
    layer: Any = get_channel_layer()
    bell = await layer.new_channel()
    await layer.group_add(doorbell.group_of(batch.pk), bell)
    child: Node = await sync_to_async(child_of)(batch, 0)
    await ActivityEnvironment().run(notify.notify, NotifyInput(batch.pk, [closed(child, Status.CANCELED)]))
    async with asyncio.timeout(PATIENCE):
        assert (await layer.receive(bell))["type"] == "batch.changed"
    await child.arefresh_from_db()
    assert child.status == Status.CANCELED
    await layer.group_discard(doorbell.group_of(batch.pk), bell)


async def test_events_of_a_batch_that_is_gone_do_not_fail_the_activity() -> None:
    await ActivityEnvironment().run(notify.notify, NotifyInput("gone", []))


async def test_the_web_process_starts_and_stops_without_temporal(settings: Settings, transactional_db: None) -> None:
    settings.TEMPORAL_ADDRESS = "127.0.0.1:1"
    gateway.cache_clear()
    said, sent = asyncio.Queue[dict[str, Any]](), asyncio.Queue[dict[str, Any]]()
    lifespan = asyncio.create_task(application({"type": "lifespan"}, said.get, sent.put))
    async with asyncio.timeout(PATIENCE):
        await said.put({"type": "lifespan.startup"})
        assert (await sent.get())["type"] == "lifespan.startup.complete"
        assert len(_kept()) >= len(BACKGROUND)
        await said.put({"type": "lifespan.shutdown"})
        assert (await sent.get())["type"] == "lifespan.shutdown.complete"
        await lifespan
    assert not _kept()
    gateway.cache_clear()


def _kept() -> list[asyncio.Task[Any]]:
    """The lifespan's own tasks: the loop is shared with the workers of other tests, which come and go."""
    return [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == "_keep_running"]
