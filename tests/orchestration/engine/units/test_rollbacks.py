"""Rollbacks of what completed (A7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestration.contracts.events import EventKind, NodeKind
from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.workflow_ids import child_id
from tests.support.engine import Engine
from tests.support.parents import failing, failure_of
from tests.support.probe import Probe
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_above_the_limit_what_completed_is_rolled_back(engine: Engine) -> None:
    probe = failing(3, 4)
    probe.fail_undo = {"1"}
    plan = {"failure_policy": "tolerate", "tolerated_failures": 1, "on_threshold": "roll_back", "window": 1}
    run = await engine.launch(8, probe, **plan)
    error = await failure_of(run)
    assert error.type == "RolledBack"
    assert "Children rolled back: 2. Failed rollbacks: 1." in error.message
    assert dict(probe.undone) == {"0": 1, "1": 1, "2": 1}
    await run.closed_event()
    places = [event.place for event in run.events(EventKind.STARTED) if event.place]
    assert {place.parent for place in places} == {child_id(run.id, child, None) for child in range(3)}


async def test_a_batch_of_partitions_is_rolled_back_whole(engine: Engine, small_partitions: None) -> None:
    probe = failing(17)
    run = await engine.launch(18, probe, failure_policy="fail_fast", on_threshold="roll_back", window=4)
    error = await failure_of(run)
    completed = {
        index for (batch, index), result in engine.store.results.items() if batch == run.id and not result.failure
    }
    assert error.type == "RolledBack"
    assert {int(key) for key in probe.undone} == completed
    assert "Children rolled back: " in error.message


@pytest.mark.parametrize("items", [3, 18])
async def test_a_batch_that_has_closed_is_rolled_back_when_somebody_asks(
    engine: Engine, small_partitions: None, items: int
) -> None:
    probe = failing(1)
    run = await engine.launch(items, probe, failure_policy="tolerate", tolerated_failures=1)
    await run.result()
    await run.closed_event()
    assert isinstance(run.given, FanOutInput)
    completed = [child for child in range(items) if child != 1]
    probe.fail_undo = {"2"}
    await engine.gateway.roll_back(replace(run.given, children=completed, undo=True))
    error = await failure_of(run)
    assert error.type == "RolledBack"
    assert error.message == f"Children rolled back: {items - 2}. Failed rollbacks: 1."
    assert {int(key) for key in probe.undone} == set(completed)
    assert {event.kind for event in run.events()} >= {EventKind.ROLLING_BACK}
    rolled_back = [event.place for event in run.events(EventKind.STARTED) if event.place is not None]
    assert sum(place.kind is NodeKind.ROLLBACK for place in rolled_back) == items - 1


async def test_of_a_chunk_that_failed_in_part_the_completed_items_are_undone_too(engine: Engine) -> None:
    probe = failing(2)
    run = await engine.launch(4, probe, chunk_size=4, failure_policy="fail_fast", on_threshold="roll_back")
    await failure_of(run)
    assert set(probe.undone) == {"0", "1", "3"}


async def test_a_rollback_waits_for_its_resource_and_others_wait_for_the_rollback(engine: Engine) -> None:
    name = f"host-{Probe().name}"
    probe, second = Probe(), Probe()
    run = await engine.launch(2, probe, resource_field=name)
    await run.result()
    second.gate.clear()
    second_run = await engine.launch(1, second, resource_field=name)
    await second_run.calls(1)
    assert isinstance(run.given, FanOutInput)
    await engine.gateway.roll_back(replace(run.given, children=[0, 1], undo=True))

    async def other_is_undone() -> bool:
        return probe.undone["1"] == 1

    await until(other_is_undone, "what nobody uses is undone")
    assert not probe.undone["0"]
    second.gate.set()
    assert (await second_run.result()).counts.completed == 1
    error = await failure_of(run)
    assert error.message == "Children rolled back: 2."
    assert dict(probe.undone) == {"0": 1, "1": 1}
    rows = {event.place.parent for event in run.events(EventKind.STARTED) if event.place is not None}
    assert rows == {f"resource-{name}-0", f"resource-{name}-1"}
    third_run = await engine.launch(2, Probe(), resource_field=name)
    assert (await third_run.result()).counts.completed == 2


async def test_a_rollback_that_waits_for_its_resource_leaves_it_to_others_while_the_batch_is_paused(
    engine: Engine,
) -> None:
    name = f"host-{Probe().name}"
    probe, second = Probe(), Probe()
    run = await engine.launch(1, probe, resource_field=name)
    await run.result()
    second.gate.clear()
    second_run = await engine.launch(1, second, resource_field=name)
    await second_run.calls(1)
    assert isinstance(run.given, FanOutInput)
    await engine.gateway.roll_back(replace(run.given, children=[0], undo=True))
    await engine.gateway.pause(run.id)

    async def is_paused() -> bool:
        return (await engine.gateway.progress(run.id)).paused

    await until(is_paused, "the rollback is paused")
    second.gate.set()
    assert (await second_run.result()).counts.completed == 1
    third_run = await engine.launch(1, Probe(), resource_field=name)
    assert (await third_run.result()).counts.completed == 1
    assert not probe.undone
    await engine.gateway.resume(run.id)
    assert (await failure_of(run)).message == "Children rolled back: 1."
    assert dict(probe.undone) == {"0": 1}


async def test_a_rollback_of_a_batch_that_is_paused_begins_once_it_is_resumed(engine: Engine) -> None:
    probe = failing(1)
    probe.hold_once = {"1"}
    run = await engine.launch(3, probe, failure_policy="fail_fast", on_threshold="roll_back", window=1)
    await run.calls(2)
    await engine.gateway.pause(run.id)

    async def is_paused() -> bool:
        return (await engine.gateway.progress(run.id)).paused

    await until(is_paused, "the batch is paused")
    probe.released.set()

    async def begins_to_roll_back() -> bool:
        return EventKind.ROLLING_BACK in {event.kind for event in run.events()}

    await until(begins_to_roll_back, "the limit is exceeded")
    assert (await engine.gateway.progress(run.id)).paused
    assert not probe.undone
    await engine.gateway.resume(run.id)
    assert "Children rolled back: 1." in (await failure_of(run)).message
    assert dict(probe.undone) == {"0": 1}


async def test_what_the_record_does_not_have_as_undone_is_rolled_back_again(engine: Engine) -> None:
    probe = Probe()
    run = await engine.launch(3, probe)
    await run.result()
    assert isinstance(run.given, FanOutInput)
    for calls in (1, 2):
        await run.closed_event()
        await engine.gateway.roll_back(replace(run.given, children=[0, 1, 2], undo=True))
        error = await failure_of(run)
        assert error.message == "Children rolled back: 3."
        assert dict(probe.undone) == {"0": calls, "1": calls, "2": 1}
        del engine.store.undone[run.id, 0], engine.store.undone[run.id, 1]
