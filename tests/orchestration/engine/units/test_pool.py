"""A pool: workers that stay, get chunks by signal, are paused one by one, and go home when all is done."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from orchestration.contracts.events import PAUSED_NOTE, EventKind, NodeKind
from orchestration.contracts.long_lived import PoolWorkerState
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import WorkflowTree, child_id, pool_worker_id, root_id
from orchestration.worker import WORKFLOWS
from tests.support.engine import Engine, Run, failed
from tests.support.probe import Probe
from tests.support.waiting import until

POOL: dict[str, Any] = {"execution": "pool"}


def worker_of(engine: Engine, run: Run, number: int) -> WorkflowHandle[Any, Any]:
    return engine.client.get_workflow_handle(pool_worker_id(root_id(run.id), number), result_type=int)


async def state_of(engine: Engine, run: Run, number: int) -> PoolWorkerState:
    state: PoolWorkerState = await worker_of(engine, run, number).query("state", result_type=PoolWorkerState)
    return state


async def test_workers_share_the_chunks_and_end_with_the_batch(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"7"}
    run = await engine.launch(24, probe, **POOL, window=3, chunk_size=2)
    result = await run.result()
    assert (result.counts.completed, result.counts.failed) == (11, 1)
    assert failed(Status.FAILED, result) == [3]
    assert probe.calls == dict.fromkeys(map(str, range(24)), 1)
    assert sum([await worker_of(engine, run, number).result() for number in range(3)]) == 12
    await run.closed_event()
    workers = {event.workflow_id for event in run.events() if event.place and event.place.kind is NodeKind.POOL_WORKER}
    assert workers == {pool_worker_id(root_id(run.id), number) for number in range(3)}
    notes = {event.note for event in run.events(EventKind.NOTE)}
    assert {"items 7-8", "idle"} <= notes
    closed = {event.workflow_id: event.outcome for event in run.events(EventKind.CLOSED)}
    assert closed[child_id(run.id, 3, None)] is Status.FAILED
    assert all(closed[worker] is Status.COMPLETED for worker in workers)
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    await replayer.replay_workflow(await run.root.fetch_history())
    await replayer.replay_workflow(await worker_of(engine, run, 0).fetch_history())


async def test_a_worker_is_paused_alone_and_one_that_is_lost_is_replaced(engine: Engine) -> None:
    probe = Probe()
    probe.hold = {"0", "1"}
    run = await engine.launch(10, probe, **POOL, window=2)
    await run.calls(2)
    first, second = worker_of(engine, run, 0), worker_of(engine, run, 1)
    kept, lost = (await state_of(engine, run, 0)).doing, (await state_of(engine, run, 1)).doing
    assert {kept, lost} == {0, 1}
    await first.signal("pause")
    await second.terminate("lost")

    async def all_others_are_done() -> bool:
        return len(probe.calls) == 10

    await until(all_others_are_done, "a new worker does the rest")
    state = await state_of(engine, run, 0)
    assert (state.is_paused, state.doing, state.completed) == (True, kept, 0)

    probe.hold.clear()
    name = child_id(run.id, int(kept or 0), None)
    at_work = next(event.run_id for event in run.events(EventKind.STARTED) if event.workflow_id == name)
    await first.signal("drop", at_work)

    async def is_shown_as_paused() -> bool:
        notes = [event for event in run.events(EventKind.NOTE) if event.workflow_id == first.id]
        return bool(notes) and notes[-1].note == PAUSED_NOTE

    await until(is_shown_as_paused, "its row says that it is paused")
    result = await run.result()
    assert (result.counts.completed, result.counts.terminated, result.counts.canceled) == (8, 1, 1)
    assert failed(Status.TERMINATED, result) == [lost]
    assert sorted((await run.retry([0, 1])).accepted) == [0, 1]
    assert (await run.result()).counts.completed == 2


async def test_a_chunk_that_was_assigned_to_a_paused_worker_goes_to_another(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(8, probe, **POOL, window=2)
    await run.calls(2)
    await worker_of(engine, run, 0).signal("pause")
    probe.gate.set()

    async def all_are_done() -> bool:
        return len(probe.calls) == 8

    await until(all_are_done, "the other worker does the rest")
    assert (await run.result()).counts.completed == 8
    assert await worker_of(engine, run, 0).result() == 1
    assert await worker_of(engine, run, 1).result() == 7


async def test_a_chunk_that_waits_for_a_worker_waits_on_while_the_batch_is_paused(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    probe.hold_once = {"1"}
    run = await engine.launch(3, probe, **POOL, window=2)
    await run.calls(2)
    first, second = worker_of(engine, run, 0), worker_of(engine, run, 1)
    if (await state_of(engine, run, 0)).doing == 1:
        first, second = second, first
    await first.signal("pause")
    probe.gate.set()

    async def closed(child: int) -> bool:
        return child_id(run.id, child, None) in {event.workflow_id for event in run.events(EventKind.CLOSED)}

    await until(lambda: closed(0), "the chunk of the worker that is paused is over, and the last one waits")
    await engine.gateway.pause(run.id)

    async def is_paused() -> bool:
        return (await engine.gateway.progress(run.id)).paused

    await until(is_paused, "the batch is paused")
    await first.signal("resume")

    async def is_resumed() -> bool:
        return not (await first.query("state", result_type=PoolWorkerState)).is_paused

    await until(is_resumed, "the worker would take a chunk")
    probe.released.set()
    await until(lambda: closed(1), "the other worker has room, too")
    assert "2" not in probe.calls
    assert (await second.query("state", result_type=PoolWorkerState)).doing is None
    await engine.gateway.resume(run.id)
    assert (await run.result()).counts.completed == 3
    assert probe.calls["2"] == 1


async def test_the_window_is_the_number_of_workers(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(12, probe, **POOL, window=1)
    await run.calls(1)
    await engine.gateway.set_window(run.id, 4)
    await run.calls(4)
    await engine.gateway.set_window(run.id, 1)
    probe.gate.set()
    assert (await run.result()).counts.completed == 12
    assert probe.most == 4


async def test_cancel_stops_the_chunks_that_workers_run(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(6, probe, **POOL, window=2)
    await run.calls(2)
    await engine.gateway.cancel(root_id(run.id))
    with pytest.raises(WorkflowFailureError):
        await run.result()
    assert (await run.closed_event()).outcome is Status.CANCELED
    assert probe.running == 0


async def test_a_failure_limit_stops_a_pool(engine: Engine) -> None:
    probe = Probe()
    probe.hold, probe.fail = {"0"}, {"1"}
    run = await engine.launch(6, probe, **POOL, window=2, failure_policy="fail_fast")
    with pytest.raises(WorkflowFailureError) as raised:
        await run.result()
    assert "0 tolerated" in str(raised.value.cause)
    assert "5" not in probe.calls


async def test_a_worker_goes_on_in_new_runs_and_remembers_what_it_did(engine: Engine) -> None:
    run = await engine.launch(40, **POOL, window=1)
    assert (await run.result()).counts.completed == 40
    worker = worker_of(engine, run, 0)
    assert await worker.result() == 40
    query = f'WorkflowId = "{worker.id}"'

    async def went_on() -> bool:
        return len([seen async for seen in engine.client.list_workflows(query)]) > 1

    await until(went_on, "the worker had more than one run")
    started = [event for event in run.events(EventKind.STARTED) if event.workflow_id == worker.id]

    async def are_one() -> bool:
        runs = [seen async for seen in engine.gateway.runs(WorkflowTree(root_id(run.id)))]
        return {seen.run_id for seen in runs if seen.workflow_id == worker.id} == {started[0].run_id}

    await until(are_one, "its runs are listed as one")


async def test_a_worker_that_is_canceled_itself_cancels_its_chunk_and_is_replaced(engine: Engine) -> None:
    probe = Probe()
    probe.hold = {"0"}
    run = await engine.launch(4, probe, execution="pool", window=1, chunk_size=1)
    await run.calls(1)
    await engine.client.get_workflow_handle(pool_worker_id(root_id(run.id), 0)).cancel()
    result = await run.result()
    assert (result.counts.completed, failed(Status.CANCELED, result)) == (3, [0])
