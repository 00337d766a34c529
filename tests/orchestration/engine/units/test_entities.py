"""Entities: long-lived workflows that do operations in order, whichever batch they come from."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from orchestration.contracts.events import EventKind, NodeKind
from orchestration.contracts.long_lived import EntityState
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id, entity_id, root_id
from orchestration.worker import WORKFLOWS
from tests.support.engine import Engine, failed
from tests.support.probe import Probe
from tests.support.waiting import until

ENTITIES: dict[str, Any] = {"execution": "entities", "entity_idle": 2}


@pytest.fixture
def field() -> str:
    """A field whose values no other test uses: the store names resources after it, three in all."""
    return f"three-{secrets.token_hex(4)}"


def entity_of(engine: Engine, field: str, number: int) -> WorkflowHandle[Any, Any]:
    return engine.client.get_workflow_handle(entity_id("", f"{field}-{number}"), result_type=int)


async def state_of(engine: Engine, field: str, number: int) -> EntityState:
    state: EntityState = await entity_of(engine, field, number).query("state", result_type=EntityState)
    return state


async def test_operations_on_one_entity_run_one_after_another_in_order(engine: Engine, field: str) -> None:
    probe = Probe()
    probe.fail = {"4"}
    run = await engine.launch(12, probe, **ENTITIES, entity_field=field)
    result = await run.result()
    assert (result.counts.completed, failed(Status.FAILED, result)) == (11, [4])
    assert probe.most <= 3, "three entities, one operation each"
    order = list(probe.calls)
    for number in range(3):
        assert [key for key in order if int(key) % 3 == number] == [str(number + 3 * turn) for turn in range(4)]
    await run.closed_event()
    rows = {event.place.label for event in run.events() if event.place and event.place.kind is NodeKind.ENTITY}
    assert rows == {f"{field}-{number}" for number in range(3)}
    assert any("waiting" in event.note for event in run.events(EventKind.NOTE))
    assert await entity_of(engine, field, 0).result() == 4, "it shut down when nothing came for a while"
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    await replayer.replay_workflow(await run.root.fetch_history())
    await replayer.replay_workflow(await entity_of(engine, field, 0).fetch_history())
    assert (await run.retry([4])).accepted == [4], "after it shut down it is started again"
    probe.fail.clear()
    assert (await run.result()).counts.total == 1


async def test_two_batches_share_entities_and_their_operations_never_overlap(engine: Engine, field: str) -> None:
    probe = Probe()
    probe.gate.clear()
    first = await engine.launch(6, probe, **ENTITIES, entity_field=field)
    await first.calls(3)
    second = await engine.launch(6, probe, **ENTITIES, entity_field=field)

    async def all_wait() -> bool:
        return (await state_of(engine, field, 0)).waiting == 3

    await until(all_wait, "one operation is at work, and three of both batches wait")
    probe.gate.set()
    results = await asyncio.gather(first.result(), second.result())
    assert [result.counts.completed for result in results] == [6, 6]
    assert probe.most == 3


async def test_an_entity_goes_on_in_new_runs_with_what_waits(engine: Engine, field: str) -> None:
    run = await engine.launch(30, **ENTITIES, entity_field=field, entity_continue_after=3)
    assert (await run.result()).counts.completed == 30
    entity = entity_of(engine, field, 0)
    assert await entity.result() == 10
    query = f'WorkflowId = "{entity.id}"'

    async def went_on() -> bool:
        return len([seen async for seen in engine.client.list_workflows(query)]) >= 4

    await until(went_on, "the entity had several runs")


async def test_what_an_entity_had_when_it_was_ended_has_failed_and_is_retried(engine: Engine, field: str) -> None:
    probe = Probe()
    probe.hold = {"0"}
    run = await engine.launch(6, probe, **ENTITIES, entity_field=field)
    await run.calls(5)
    await entity_of(engine, field, 0).terminate("lost")
    result = await run.result()
    assert (result.counts.completed, failed(Status.FAILED, result)) == (4, [0, 3])
    closed = {event.workflow_id: event.failure for event in run.events(EventKind.CLOSED)}
    failure = closed[child_id(run.id, 3, None)]
    assert failure is not None
    assert failure.type == "EntityGone"
    probe.hold.clear()
    assert sorted((await run.retry([0, 3])).accepted) == [0, 3]
    assert (await run.result()).counts.completed == 2


async def test_cancel_drops_the_operations_of_a_batch_and_leaves_the_entity(engine: Engine, field: str) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(6, probe, **ENTITIES | {"entity_idle": 60}, entity_field=field)
    await run.calls(3)
    await engine.gateway.cancel(root_id(run.id))
    with pytest.raises(WorkflowFailureError):
        await run.result()
    assert probe.running == 0

    async def has_dropped_them() -> bool:
        state = await state_of(engine, field, 0)
        return (state.doing, state.waiting, state.done) == ("", 0, 2)

    await until(has_dropped_them, "the entity has nothing to do")
    await entity_of(engine, field, 0).signal("close")
    assert await entity_of(engine, field, 0).result() == 2


async def test_operations_that_wait_stay_canceled_when_the_entity_goes_on_in_a_new_run(
    engine: Engine, field: str
) -> None:
    probe = Probe()
    probe.gate.clear()
    probe.ignores_cancel = True
    run = await engine.launch(18, probe, **ENTITIES | {"entity_idle": 60}, entity_field=field, entity_continue_after=1)
    await run.calls(3)
    await engine.gateway.cancel(root_id(run.id))

    async def dropped() -> bool:
        history = await entity_of(engine, field, 0).fetch_history()
        names = [event.workflow_execution_signaled_event_attributes.signal_name for event in history.events]
        return names.count("drop") == 6

    await until(dropped, "all operations of the batch are dropped")
    probe.gate.set()
    with pytest.raises(WorkflowFailureError):
        await run.result()
    assert sum(probe.calls.values()) == 3, "only what was at work is done"


async def test_an_entity_that_is_canceled_itself_cancels_what_it_has(engine: Engine, field: str) -> None:
    probe = Probe()
    probe.hold = {"0"}
    run = await engine.launch(6, probe, **ENTITIES, entity_field=field)
    await run.calls(5)
    await entity_of(engine, field, 0).cancel()
    result = await run.result()
    assert (result.counts.completed, failed(Status.CANCELED, result)) == (4, [0, 3])
    with pytest.raises(WorkflowFailureError):
        await entity_of(engine, field, 0).result()


async def knows_of_the_pause(engine: Engine, field: str) -> None:
    """Wait until the first entity has two operations, and has been told that their batch is paused."""

    async def is_told() -> bool:
        history = await entity_of(engine, field, 0).fetch_history()
        names = [event.workflow_execution_signaled_event_attributes.signal_name for event in history.events]
        return "hold" in names and names.count("submit") == 2

    await until(is_told, "the entity knows that the batch is paused")


async def test_operations_of_a_batch_that_is_paused_wait_and_let_others_pass(engine: Engine, field: str) -> None:
    probe, other = Probe(), Probe()
    probe.gate.clear()
    run = await engine.launch(6, probe, **ENTITIES, entity_field=field)
    await run.calls(3)
    await engine.gateway.pause(run.id)
    await knows_of_the_pause(engine, field)
    probe.gate.set()
    second = await engine.launch(3, other, **ENTITIES, entity_field=field)
    assert (await second.result()).counts.completed == 3
    assert {key: probe.calls[key] for key in ("0", "3")} == {"0": 1, "3": 0}

    async def first_has_closed() -> bool:
        return child_id(run.id, 0, None) in {event.workflow_id for event in run.events(EventKind.CLOSED)}

    await until(first_has_closed, "what was at work is done")
    assert (await state_of(engine, field, 0)).waiting == 1
    await engine.gateway.resume(run.id)
    assert (await run.result()).counts.completed == 6
    assert probe.calls == dict.fromkeys(map(str, range(6)), 1)


async def test_an_entity_forgets_what_it_holds_for_a_batch_that_was_terminated(engine: Engine, field: str) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(6, probe, **ENTITIES | {"entity_idle": 1}, entity_field=field)
    await run.calls(3)
    await engine.gateway.pause(run.id)
    await knows_of_the_pause(engine, field)
    await run.root.terminate("ended")
    probe.gate.set()
    assert await entity_of(engine, field, 0).result() == 1
    assert probe.calls["3"] == 0
