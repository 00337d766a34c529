"""What no worker takes up is scheduled, not running: on a real Temporal, until a worker comes."""

from __future__ import annotations

from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from temporalio.client import Client

from dashboard.chunk_store.store import DjangoChunkStore
from dashboard.live.deltas import batch_deltas
from dashboard.live.state import batch_state, node_state
from dashboard.models import Batch, Node
from dashboard.queries.selection import Selection
from dashboard.reconciliation import queue_watch
from dashboard.reconciliation.queue_watch import QueueWatch, queues_of
from orchestration.activities.parents import ParentActivities
from orchestration.contracts.events import NodeKind
from orchestration.contracts.names import CHILD_TASK_QUEUE
from orchestration.worker import build_workers
from tests.support.builders import MakeBatch, start_root
from tests.support.reconciled import AT_ONCE, shows, written

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def seen(batch: Batch) -> tuple[str, dict[str, int], set[str]]:
    """Return what a page shows of a batch: its status, its children, and the statuses of their rows."""
    fresh = Batch.objects.get(pk=batch.pk)
    state, rows = batch_state(fresh), Node.objects.filter(batch=batch, kind=NodeKind.CHILD).select_related("batch")
    children = {status: number for status, number in state["children"].items() if number}
    assert Selection.of({"status": "scheduled"}).number(fresh) == fresh.children_running
    return state["status"], children, {node_state(node)["status"] for node in rows}


async def test_a_batch_on_a_queue_without_a_worker_is_scheduled_until_one_takes_it_up(
    running_reconciler: None, operator: User, client: Client
) -> None:
    queue = f"deserted-{uuid4().hex[:8]}"
    waiting, served = await written(operator, 3, task_queue=queue), await written(operator, 2, AT_ONCE)
    assert await sync_to_async(queues_of)(waiting) == {queue}
    assert await sync_to_async(queues_of)(served) == {CHILD_TASK_QUEUE}
    await shows(served, "completed", "completed", "completed")
    await shows(waiting, "scheduled", "running", "running", "running")
    assert await sync_to_async(seen)(waiting) == ("scheduled", {"total": 3, "scheduled": 3}, {"scheduled"})
    before = (await Batch.objects.aget(pk=waiting.pk)).revision

    activities = ParentActivities(DjangoChunkStore())
    (worker,) = build_workers(client, activities, queues=[queue])
    async with worker:
        await shows(waiting, "running", "running", "running", "running")
    activities.close()
    assert await sync_to_async(seen)(waiting) == ("running", {"total": 3, "running": 3}, {"running"})
    sent = await sync_to_async(lambda: list(batch_deltas(waiting.pk, before)))()
    assert {node["status"] for node in sent[-1]["nodes"]} == {"running"}
    assert len(sent[-1]["nodes"]) == 4, "the rows are told, too"


async def test_a_batch_may_be_compared_less_often_than_queues_are_looked_at(
    monkeypatch: pytest.MonkeyPatch, make_batch: MakeBatch
) -> None:
    class Deserted:
        async def queues_without_workers(self, names: set[str]) -> set[str]:
            return names - {CHILD_TASK_QUEUE}

    monkeypatch.setattr(queue_watch, "gateway", Deserted)
    batch = await sync_to_async(make_batch)(2, task_queue="deserted")
    await sync_to_async(start_root)(batch)
    await batch.arefresh_from_db()
    queues = QueueWatch()
    for _ in range(2):
        await queues.record(batch)
        for _ in range(3):
            await queues.look()
    assert (await Batch.objects.aget(pk=batch.pk)).unattended
