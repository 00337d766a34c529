"""Chunk execution: every item has a result before its child completes, and a lost worker costs nobody else."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestration.contracts.chunks import ChunkInput, ChunkResult, ItemInput, ItemResult, PendingItems
from orchestration.contracts.events import EventKind
from orchestration.contracts.flows import StepInput
from orchestration.contracts.names import (
    PENDING_ITEMS_ACTIVITY,
    PROCESS_CHUNK_ACTIVITY,
    PROCESS_ITEM_ACTIVITY,
    RUN_STEP_ACTIVITY,
    WRITE_RESULT_ACTIVITY,
)
from orchestration.contracts.status import RESULTS_MISSING
from orchestration.engine import chunk_execution
from orchestration.engine.chunk_execution import MAX_LOST, may_follow_loss
from orchestration.temporal.worker_loss import WORKER_LOST
from tests.support.engine import Engine


async def test_an_item_whose_worker_is_lost_costs_no_other_item_its_turn(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_execution, "HEARTBEAT_TIMEOUT", timedelta(seconds=1))
    done, begun, written, queue = list[int](), list[bool](), list[ItemResult](), secrets.token_hex(4)

    @activity.defn(name=PENDING_ITEMS_ACTIVITY)
    async def pending_items(chunk: ChunkInput) -> PendingItems:
        return PendingItems(list(range(chunk.length)), 0)

    @activity.defn(name=PROCESS_ITEM_ACTIVITY)
    async def process_item(wanted: ItemInput) -> ChunkResult:
        if wanted.index == 0:
            begun.append(wanted.chunk.after_loss)
            activity.raise_complete_async()  # nobody ever completes it, nor heartbeats
        done.append(wanted.index)
        return ChunkResult(1, 0)

    @activity.defn(name=WRITE_RESULT_ACTIVITY)
    async def write_result(result: ItemResult) -> None:
        written.append(result)

    functions: Sequence[object] = (pending_items, process_item, write_result)
    async with Worker(engine.client, task_queue=queue, activities=functions):  # type: ignore[arg-type]
        run = await engine.launch(5, chunk_size=5, execution="activities", item_concurrency=1, task_queue=queue)
        assert (await run.result()).counts.failed == 1
    assert list(dict.fromkeys(done)) == [1, 2, 3, 4], "on a busy machine one of them may count as lost, too"
    assert begun == [False] + [True] * (MAX_LOST - 1)
    assert [(result.index, result.failure.type) for result in written if result.failure] == [(0, "WorkerLost")]


async def test_a_child_whose_activity_counts_fewer_results_than_it_has_items_has_failed(engine: Engine) -> None:
    queue = secrets.token_hex(4)

    @activity.defn(name=PROCESS_CHUNK_ACTIVITY)
    async def process_chunk(chunk: ChunkInput) -> ChunkResult:
        return ChunkResult(1, 0)

    async with Worker(engine.client, task_queue=queue, activities=[process_chunk]):
        run = await engine.launch(3, chunk_size=3, task_queue=queue)
        assert (await run.result()).counts.failed == 1
        await run.closed_event()
    reason = run.events(EventKind.CLOSED)[0].failure
    assert reason is not None
    assert (reason.type, reason.message) == (RESULTS_MISSING, "2 of 3 items have no result.")


async def test_a_step_whose_worker_is_lost_runs_again_and_loses_no_attempt(engine: Engine) -> None:
    queue, given = secrets.token_hex(4), list[bool]()

    @activity.defn(name=RUN_STEP_ACTIVITY)
    async def run_step(step: StepInput) -> str:
        given.append(step.after_loss)
        if len(given) < MAX_LOST:
            raise ApplicationError("The worker process has ended.", type=WORKER_LOST)
        return "done"

    flow = {"kind": "steps", "steps": [{"name": "only", "run": {"processor": "probe", "input": {"value": 1}}}]}
    async with Worker(engine.client, task_queue=queue, activities=[run_step]):
        run = await engine.flow(flow, task_queue=queue, item_attempts=1)
        await run.result()
    assert given == [False] + [True] * (MAX_LOST - 1)


@workflow.defn
class LosesItsFirstTask:
    """Fails its first workflow task, and returns what it then knows of that."""

    tasks = 0

    @workflow.run
    async def run(self) -> bool:
        """Return whether a worker may have been lost with the task before."""
        follows = may_follow_loss()
        LosesItsFirstTask.tasks += 1
        if LosesItsFirstTask.tasks == 1:
            assert not follows
            raise RuntimeError("The first task is lost.")
        return follows


async def test_a_workflow_knows_that_its_first_task_was_lost(temporal_client: Client) -> None:
    queue = secrets.token_hex(4)
    runner = UnsandboxedWorkflowRunner()
    async with Worker(temporal_client, task_queue=queue, workflows=[LosesItsFirstTask], workflow_runner=runner):
        assert await temporal_client.execute_workflow(LosesItsFirstTask.run, id=queue, task_queue=queue)
    assert LosesItsFirstTask.tasks == 2
