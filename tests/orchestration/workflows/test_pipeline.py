"""A pipeline: stages in order, over what the stage before has let through, also after a retry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from orchestration.contracts.events import EventKind
from orchestration.contracts.flows import FlowInput
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id, partition_id, root_id, stage_id
from tests.support.engine import Engine, Run
from tests.support.probe import Probe
from tests.support.waiting import until

pytestmark = pytest.mark.slow

ONE = {"chunk_size": 1, "item_attempts": 1}


def pipeline(*plans: dict[str, Any]) -> dict[str, Any]:
    stages = [
        {"name": f"stage-{number}", "processor": "probe", "plan": ONE | plan} for number, plan in enumerate(plans)
    ]
    return {"kind": "pipeline", "stages": stages}


async def retry(
    engine: Engine,
    run: Run,
    children: dict[int, list[str]],
    believed_open: tuple[str, ...] = (),
    lost: tuple[int, ...] = (),
) -> Any:
    """Retry children of a pipeline, each with the ids of its parents, as the dashboard knows its sections."""
    assert isinstance(run.given, FlowInput)
    given = replace(run.given, sections=engine.store.sections[run.id])
    update_id = str(sorted(children))
    return await engine.gateway.retry(given, children, believed_open=believed_open, update_id=update_id, lost=lost)


async def test_a_stage_works_on_what_the_one_before_let_through_once_that_has_closed(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1", "3"}
    run = await engine.flow(pipeline({}, {}, {}), probe, items=6)
    assert await run.result() == {"stage-0": 4, "stage-1": 4, "stage-2": 4}
    await run.closed_event()
    at = {(event.workflow_id, event.kind): event.at for event in run.events()}
    for number in (0, 1):
        before, after = stage_id(run.id, number), stage_id(run.id, number + 1)
        assert at[before, EventKind.CLOSED] <= at[after, EventKind.STARTED]
    assert at[child_id(run.id, 6, None, 1), EventKind.CLOSED]
    assert probe.calls == dict.fromkeys([str(index) for index in range(6 + 4 + 4)], 1)


async def test_what_a_retry_lets_through_goes_on_to_the_later_stages(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1", "5"}
    run = await engine.flow(pipeline({}, {}), probe, items=4)
    assert await run.result() == {"stage-0": 3, "stage-1": 2}
    probe.fail.clear()
    first, second = stage_id(run.id, 0), stage_id(run.id, 1)
    answer = await retry(engine, run, {1: [first], 5: [second]}, believed_open=(first,))
    assert (sorted(answer.accepted), answer.refused) == ([1, 5], {})
    assert await run.result() == {"stage-0": 1, "stage-1": 2}
    assert [section.items for section in engine.store.sections[run.id]] == [4, 3, 1]
    assert (probe.calls["1"], probe.calls["0"], probe.calls["7"]) == (2, 1, 1)
    started = [event for event in run.events(EventKind.STARTED) if event.workflow_id == child_id(run.id, 7, None, 2)]
    assert len(started) == 1


async def test_a_child_of_an_earlier_stage_waits_for_its_turn_and_one_of_the_open_stage_runs_at_once(
    engine: Engine,
) -> None:
    probe = Probe()
    probe.fail, probe.hold = {"1", "5"}, {"4"}
    run = await engine.flow(pipeline({}, {}), probe, items=4)
    first, second = stage_id(run.id, 0), stage_id(run.id, 1)

    async def second_stage_is_open() -> bool:
        return probe.calls["5"] == 1 and probe.calls["4"] == 1

    await until(second_stage_is_open, "the second stage is open")
    probe.fail.clear()
    assert (await retry(engine, run, {1: [first]})).accepted == [1]
    assert (await retry(engine, run, {5: [second]})).accepted == [5]

    async def has_run_again() -> bool:
        return probe.calls["5"] == 2

    await until(has_run_again, "the child of the open stage runs again at once")
    assert probe.calls["1"] == 1
    probe.hold.clear()
    await engine.client.get_workflow_handle(child_id(run.id, 4, None, 1)).terminate("let go")
    await run.result()
    assert probe.calls["1"] == 2
    assert [section.items for section in engine.store.sections[run.id]] == [4, 3, 1]


async def test_a_stage_that_stops_at_its_limit_stops_the_pipeline_and_a_retry_goes_on(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"0"}
    run = await engine.flow(pipeline({"failure_policy": "fail_fast", "window": 1}, {}), probe, items=2)
    with pytest.raises(WorkflowFailureError) as raised:
        await run.result()
    assert "2 children failed, 0 tolerated" in str(raised.value.cause)
    assert "2" not in probe.calls
    probe.fail.clear()
    answer = await retry(engine, run, {0: [stage_id(run.id, 0)], 1: [stage_id(run.id, 0)]})
    assert sorted(answer.accepted) == [0, 1]
    assert await run.result() == {"stage-0": 2, "stage-1": 2}


async def test_pause_window_and_cancel_reach_the_open_stage(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.flow(pipeline({"window": 1}, {}), probe, items=6)
    await run.calls(1)
    await engine.gateway.set_window(run.id, 3)
    await run.calls(3)
    await engine.gateway.pause(run.id)
    stage = engine.client.get_workflow_handle(stage_id(run.id, 0))

    async def is_paused() -> bool:
        return (await stage.query("progress"))["paused"] is True

    await until(is_paused, "the stage is paused")
    await engine.gateway.cancel(root_id(run.id))
    with pytest.raises(WorkflowFailureError):
        await run.result()
    seen = await engine.gateway.describe_run(stage_id(run.id, 0))
    assert seen is not None
    assert seen.status is Status.CANCELED
    assert (await run.closed_event()).outcome is Status.CANCELED


async def test_a_large_stage_has_partitions_and_a_child_in_them_is_retried(
    engine: Engine, small_partitions: None
) -> None:
    probe = Probe()
    probe.fail = {"5"}
    run = await engine.flow(pipeline({}, {}), probe, items=10)
    assert await run.result() == {"stage-0": 9, "stage-1": 9}
    probe.fail.clear()
    above = [stage_id(run.id, 0), partition_id(run.id, 1, 0)]
    assert (await retry(engine, run, {5: above}, believed_open=(above[1],))).accepted == [5]
    assert await run.result() == {"stage-0": 1, "stage-1": 1}
    assert probe.calls["5"] == 2


async def test_a_stage_that_is_retried_has_the_window_that_a_person_set(engine: Engine) -> None:
    probe = Probe()
    probe.fail, probe.hold_once = {"1"}, {"0"}
    run = await engine.flow(pipeline({}), probe, items=2)
    await run.calls(2)
    await engine.gateway.set_window(run.id, 1)

    async def is_set() -> bool:
        return [event.window for event in run.events(EventKind.WINDOW)][-1:] == [1]

    await until(is_set, "the window is 1")
    probe.fail.clear()
    probe.released.set()
    await run.result()
    before = len(run.events(EventKind.WINDOW))
    assert (await retry(engine, run, {1: [stage_id(run.id, 0)]})).accepted == [1]
    await run.result()
    await run.closed_event()
    assert {event.window for event in run.events(EventKind.WINDOW)[before:]} == {1}


async def test_more_children_of_a_stage_than_an_input_may_name_are_retried_in_parts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.contracts.messages.MOST_CHILDREN", 2)
    probe = Probe()
    probe.fail = {"0", "1", "2"}
    run = await engine.flow(pipeline({}), probe, items=3)
    await run.result()
    probe.fail.clear()
    stage = stage_id(run.id, 0)
    answer = await retry(engine, run, {child: [stage] for child in range(3)})
    assert answer.accepted == [0, 1]
    assert answer.refused == {2: "too many at once: retry it when those that were accepted have run"}
    await run.result()


@pytest.mark.usefixtures("small_partitions")
async def test_a_stage_that_the_record_has_lost_runs_again_although_temporal_has_completed_it(engine: Engine) -> None:
    probe = Probe()
    run = await engine.flow(pipeline({}, {"window": 3}), probe, items=8)
    assert await run.result() == {"stage-0": 8, "stage-1": 8}
    engine.store.sections[run.id] = engine.store.sections[run.id][:1]
    for index in range(7, 16):
        del engine.store.results[run.id, index]
    answer = await retry(engine, run, {7: [stage_id(run.id, 0), partition_id(run.id, 1, 0)]}, lost=(7,))
    assert answer.accepted == [7]
    assert await run.result() == {"stage-0": 1, "stage-1": 8}
    assert probe.calls == {str(index): 1 if index < 7 else 2 for index in range(16)}
    assert [section.items for section in engine.store.sections[run.id]] == [8, 8]
