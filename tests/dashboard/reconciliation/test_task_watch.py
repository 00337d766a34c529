"""A workflow below a child that fails its task blocks the batch, says so by itself, and is over by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from dashboard.models import Batch
from dashboard.reconciliation import task_watch
from orchestration.diagnosis import task_failures
from orchestration.plan.plan import Plan
from tests.support import builders
from tests.support.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

QUEUE = "elsewhere"


@workflow.defn(name="Delegated")
class Broken:
    """A workflow with a fault in its code."""

    @workflow.run
    async def run(self, item: dict[str, str]) -> str:
        """Raise what fails the workflow task, not the workflow."""
        raise KeyError("a fault in the code")


@workflow.defn(name="Delegated")
class Fixed:
    """The same without it."""

    @workflow.run
    async def run(self, item: dict[str, str]) -> str:
        """Return at once."""
        return "done"


@asynccontextmanager
async def worker_of(client: Client, workflow_class: type) -> AsyncIterator[None]:
    async with Worker(
        client, task_queue=QUEUE, workflows=[workflow_class], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        yield


async def test_a_workflow_task_that_fails_below_a_child_blocks_its_batch_until_it_succeeds(
    running_reconciler: None, client: Client, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_failures, "FAILS_FROM", 2)  # the third attempt comes 10 s later
    monkeypatch.setattr(task_watch, "LOOK_EVERY", 0.5)
    parameters = {"workflow_type": "Delegated", "task_queue": QUEUE}
    batch = await sync_to_async(builders.make_batch)(
        operator, 1, processor="workflow", parameters=parameters, plan=Plan(chunk_size=1, item_attempts=1)
    )

    async def state() -> Batch:
        await batch.arefresh_from_db()
        return batch

    async def is_blocked() -> bool:
        return (await state()).blocked_since is not None

    async with worker_of(client, Broken):
        await until(is_blocked, "the batch is blocked")
        assert (batch.status, batch.blocked["workflow_type"]) == ("running", "Delegated")
        assert "a fault in the code" in batch.blocked["reason"]
    async with worker_of(client, Fixed):

        async def is_over() -> bool:
            return (await state()).status == "completed"

        await until(is_over, "it goes on")
    assert not await is_blocked()
