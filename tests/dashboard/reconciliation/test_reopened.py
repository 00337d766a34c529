"""Ended batches of which something runs in Temporal."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from temporalio.client import Client

from dashboard.launching.root_input import root_input
from dashboard.launching.watch import watch
from dashboard.models import Batch, Node
from dashboard.projection.events import apply_events
from dashboard.projection.settlement import discard
from dashboard.reconciliation import reconciler, reopened
from dashboard.reconciliation.reconciler import BatchReconciler, run_reconciler
from dashboard.temporal import gateway
from orchestration.contracts.events import EventKind, TreeEvent
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import root_id
from tests.support.builders import child_of, root_of
from tests.support.reconciled import AT_ONCE, shows, statuses, written
from tests.support.stack import TemporalServer
from tests.support.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_child_reset_in_temporal_shows_although_its_batch_was_settled(
    running_reconciler: None, operator: User, own_temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reopened, "LOOK_EVERY", timedelta(seconds=1))
    batch = await written(operator, 2, {**AT_ONCE, "fail_percent": 100})
    await shows(batch, "failed", "failed", "failed")
    child = await sync_to_async(child_of)(batch, 1)

    async def is_settled() -> bool:
        return batch.pk not in [pk for pk, _ in await sync_to_async(reconciler._unsettled)()]

    await until(is_settled, "nobody compares it")
    options = ("--workflow-id", child.workflow_id, "--type", "FirstWorkflowTask", "--reason", "by hand")
    own_temporal.cli("workflow", "reset", *options)

    async def ran_again() -> bool:
        await child.arefresh_from_db()
        return (child.attempt, child.status) == (2, "failed")

    await until(ran_again, "the second attempt is known", 60)
    await shows(batch, "failed", "failed", "failed")


async def told_of_its_end(batch: Batch) -> None:
    """Report the end of everything in a batch, a minute ago."""
    end = (datetime.now(UTC) - timedelta(minutes=1), Status.COMPLETED)
    nodes = [node async for node in Node.objects.filter(batch=batch)]
    told = [TreeEvent(EventKind.CLOSED, node.workflow_id, node.run_id, *end) for node in nodes]
    await sync_to_async(apply_events)(batch.pk, told)


async def test_a_root_that_only_reported_its_end_shows_after_a_restart(
    worker: None, operator: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody compared the batch between its root's report and the restart. A watched tree is treated alike."""
    monkeypatch.setattr(reconciler, "LAUNCH_HEAD_START", timedelta(0))
    batch = await written(operator, 1)
    comparing = BatchReconciler(batch.pk)
    external = await client.start_workflow("Unserved", id=f"other-{secrets.token_hex(4)}", task_queue="unserved")
    watched = (await sync_to_async(watch)(operator, external.id)).batch

    async def runs() -> bool:
        await comparing.compare()
        return await statuses(batch) == ("running", ["running"])

    await until(runs, "it runs")
    for each in (batch, watched):
        await told_of_its_end(each)
    assert (await statuses(batch), await statuses(watched)) == (
        ("failed", ["failed"]),
        ("completed", []),
    )
    restarted = asyncio.create_task(run_reconciler())
    try:
        await shows(batch, "running", "running")
        await shows(watched, "running")
    finally:
        restarted.cancel()
        await asyncio.gather(restarted, return_exceptions=True)
        await gateway().terminate(root_id(batch.pk), "The test is over.")
        await external.terminate()


async def test_a_discarded_batch_whose_start_arrived_all_the_same_is_ended(
    worker: None, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await written(operator, 1)
    await gateway().start(await sync_to_async(root_input)(batch))
    assert await sync_to_async(discard)(batch.pk)
    root = await sync_to_async(root_of)(batch)
    look = reopened.Reopened()

    async def is_found() -> bool:
        look._next_at = datetime.now(UTC)
        return (batch.pk, "") in await look.look()

    await until(is_found, "its open root is found")
    assert await BatchReconciler(batch.pk).compare()
    seen = await gateway().describe_run(root.workflow_id)
    assert seen is not None
    assert seen.status is Status.TERMINATED
