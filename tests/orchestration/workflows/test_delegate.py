"""Children that are somebody else's workflows: attempts, cancellation, ids that are taken, what is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestration.contracts.events import EventKind, NodeKind
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id, root_id
from tests.support.engine import Engine, Run, failed
from tests.support.external_sample import Order, ProcessOrder, pack
from tests.support.probe import Probe
from tests.support.waiting import until

QUEUE = "delegated-orders"


@pytest.fixture(autouse=True)
async def sample(temporal_client: Client) -> AsyncIterator[None]:
    runner = UnsandboxedWorkflowRunner()
    async with Worker(
        temporal_client, task_queue=QUEUE, workflows=[ProcessOrder], activities=[pack], workflow_runner=runner
    ):
        yield


async def launch(engine: Engine, argument: str, items: int = 1, workflow_id: str = "", **plan: Any) -> Run:
    """Start a batch whose items are orders."""
    told = Probe()
    told.delegate = {
        "workflow_type": "ProcessOrder",
        "task_queue": QUEUE,
        "argument": argument,
        "workflow_id": workflow_id,
    }
    return await engine.launch(items, told, **plan)


def below(run: Run) -> str:
    return f"{child_id(run.id, 0, None)}/workflow"


async def test_a_workflow_that_fails_gets_the_attempts_of_the_plan_and_each_is_told(
    engine: Engine, tmp_path: Path
) -> None:
    order = f'{{"name": "books", "needs": "{tmp_path / "stock"}"}}'
    run = await launch(engine, order, item_attempts=2, item_backoff=0)
    assert failed(Status.FAILED, await run.result()) == [0]
    await run.closed_event()
    told = [event for event in run.events() if event.workflow_id == below(run)]
    assert [event.kind for event in told] == [EventKind.STARTED, EventKind.CLOSED] * 2
    assert len({event.run_id for event in told}) == 2
    assert told[0].place is not None
    assert (told[0].place.kind, told[0].place.label) == (NodeKind.STEP, "ProcessOrder")
    result = engine.store.results[run.id, 0]
    assert result.failure is not None
    assert (result.attempts, result.failure.type) == (2, "OutOfStock")
    (tmp_path / "stock").touch()
    assert (await run.retry([0])).accepted == [0]
    assert (await run.result()).counts.completed == 1
    assert (engine.store.results[run.id, 0].attempts, engine.store.results[run.id, 0].result) == (3, "packed books")


async def test_canceling_the_batch_cancels_what_it_delegated(engine: Engine, tmp_path: Path) -> None:
    run = await launch(engine, f'{{"name": "lamps", "waits_for": "{tmp_path / "gate"}"}}')
    handle = engine.client.get_workflow_handle(below(run))

    async def runs() -> bool:
        return any(event.workflow_id == below(run) for event in run.events(EventKind.STARTED))

    await until(runs, "the workflow has started")
    await engine.gateway.cancel(root_id(run.id))
    closed = await run.closed_event()
    assert closed.outcome is Status.CANCELED
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_an_id_that_somebody_has_used_is_theirs(engine: Engine) -> None:
    name = f"order-{uuid4().hex[:6]}"
    await engine.client.execute_workflow("ProcessOrder", Order("theirs"), id=name, task_queue=QUEUE)
    run = await launch(engine, '{"name": "ours"}', workflow_id=name)
    assert failed(Status.FAILED, await run.result()) == [0]
    failure = engine.store.results[run.id, 0].failure
    assert failure is not None
    assert failure.type == "WorkflowAlreadyStarted"
    assert name in failure.message


async def test_what_an_earlier_run_of_the_child_left_behind_is_taken_over(engine: Engine) -> None:
    run = await launch(engine, '{"name": "desk"}')
    assert (await run.result()).counts.completed == 1
    del engine.store.results[run.id, 0]  # as if the child had been lost before it wrote what came back
    again = engine.client.get_workflow_handle(child_id(run.id, 0, None))
    chunk = (await again.fetch_history()).events[0].workflow_execution_started_event_attributes.input.payloads[0]
    async with asyncio.timeout(60):
        await engine.client.execute_workflow("DelegateWorkflow", RawValue(chunk), id=again.id, task_queue="canopy")
    assert engine.store.results[run.id, 0].result == "packed desk"


@pytest.mark.parametrize(
    ("argument", "workflow_id", "error"),
    [('{"name": "{nothing}"}', "", "UnknownField"), ("", "batch-0123456789ab", "InvalidId")],
)
async def test_an_item_that_cannot_be_made_into_a_workflow_fails_without_one(
    engine: Engine, argument: str, workflow_id: str, error: str
) -> None:
    run = await launch(engine, argument, workflow_id=workflow_id)
    assert failed(Status.FAILED, await run.result()) == [0]
    closed = await run.closed_event()
    assert closed.outcome is Status.COMPLETED
    child = child_id(run.id, 0, None)
    failure = next(event.failure for event in run.events(EventKind.CLOSED) if event.workflow_id == child)
    assert failure is not None
    assert failure.type == error
