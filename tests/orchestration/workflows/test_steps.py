"""Steps that fan out, and flows that go on where they failed."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from temporalio.client import WorkflowFailureError

from orchestration.contracts.events import EventKind, NodeKind
from orchestration.contracts.flows import FanOutRequest, FlowInput, Section
from orchestration.contracts.messages import Progress
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id, root_id, stage_id
from tests.support.engine import Engine
from tests.support.flows import fan_out_step, retry_children, services, steps, stock_worker, tree_rows, work
from tests.support.parents import failure_of
from tests.support.probe import Probe
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_step_fans_out_over_the_batch_a_list_and_an_earlier_result(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1"}
    loop = {
        "max": 2,
        "until": {"ref": "all.completed", "op": "==", "value": 99},
        "steps": [fan_out_step("again", ["x"])],
    }
    definition = steps(
        fan_out_step("all", "batch"),
        {
            "name": "check",
            "if": {"ref": "all.failed", "op": ">", "value": 0},
            "then": [fan_out_step("some", ["a", "b"])],
        },
        {"name": "twice", "loop": loop},
        fan_out_step("none", []),
    )
    run = await engine.flow(definition, probe, items=3)
    result = await run.result()
    assert result["all"] == {**dict.fromkeys(("canceled", "terminated", "timed_out", "skipped"), 0)} | {
        "items": 3,
        "completed": 2,
        "failed": 1,
    }
    assert (result["some"]["completed"], result["none"]["items"]) == (2, 0)
    assert [each.items for each in engine.store.sections[run.id]] == [3, 2, 1, 1]
    await run.closed_event()
    closed = {event.workflow_id: event.outcome for event in run.events(EventKind.CLOSED)}
    assert closed[stage_id(run.id, 1)] is Status.COMPLETED
    assert closed[child_id(run.id, 1, None, 0)] is Status.FAILED
    assert (await tree_rows(run))["none"] == (NodeKind.STEP, "", Status.COMPLETED)


async def test_a_fan_out_over_what_is_no_list_fails_its_step(engine: Engine) -> None:
    run = await engine.flow(steps({"name": "one", "run": work(Probe())}, fan_out_step("all", {"ref": "one.calls"})))
    assert "its items do not refer to a list" in (await failure_of(run)).message


async def test_fan_outs_side_by_side_and_a_retry_while_the_flow_goes_on(engine: Engine) -> None:
    probe = Probe()
    probe.fail, probe.hold = {"0"}, {"2"}
    parallel = {"name": "both", "parallel": [fan_out_step("quick", ["a", "b"]), fan_out_step("slow", ["c", "d"])]}
    run = await engine.flow(steps(parallel), probe)

    async def quick_is_over() -> bool:
        return stage_id(run.id, 0) in {event.workflow_id for event in run.events(EventKind.CLOSED)}

    await until(quick_is_over, "the first fan-out is over")
    probe.fail.clear()
    assert sorted(each.number for each in engine.store.sections[run.id]) == [0, 1]
    assert (await retry_children(engine, run, 0)).accepted == [0]

    async def ran_again() -> bool:
        return probe.calls["0"] == 2

    await until(ran_again, "it runs again at once")
    await engine.client.get_workflow_handle(child_id(run.id, 2, None, 1)).terminate("let go")
    result = await run.result()
    assert (result["quick"]["completed"], result["quick"]["failed"]) == (2, 0)
    assert (result["slow"]["completed"], result["slow"]["terminated"]) == (1, 1)


async def test_a_flow_that_failed_goes_on_where_it_failed(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1", "last"}
    definition = steps(
        {"name": "first", "run": work(probe)},
        fan_out_step("all", "batch", failure_policy="fail_fast"),
        {"name": "last", "run": work(probe)},
    )
    run = await engine.flow(definition, probe, items=2)
    assert "all: " in (await failure_of(run)).message
    assert "last" not in probe.calls
    probe.fail = {"last"}
    assert (await retry_children(engine, run, 1)).accepted == [1]
    assert "last was told to fail" in (await failure_of(run)).message
    probe.fail.clear()
    await retry_children(engine, run)
    result = await run.result()
    assert (result["all"]["completed"], result["all"]["failed"]) == (2, 0)
    assert {name: probe.calls[name] for name in ("first", "0", "1", "last")} == {"first": 1, "0": 1, "1": 2, "last": 2}
    shown = await tree_rows(run)
    assert shown["last"] == (NodeKind.STEP, "", Status.COMPLETED)


async def test_a_child_of_a_flow_that_completed_is_retried_and_nothing_else_is_done_again(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1"}
    run = await engine.flow(steps(fan_out_step("all", "batch"), {"name": "last", "run": work(probe)}), probe, items=2)
    await run.result()
    probe.fail.clear()
    assert (await retry_children(engine, run, 1)).accepted == [1]
    assert (await run.result())["all"]["completed"] == 2
    assert dict(probe.calls) == {"0": 1, "1": 2, "last": 1}


async def test_fan_outs_that_the_record_has_lost_run_again_and_the_other_steps_stand(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"3"}
    around = {"name": "around", "parallel": [{"name": "beside", "run": work(probe)}, fan_out_step("done", ["a", "b"])]}
    other = fan_out_step("failed", ["c", "d"], failure_policy="fail_fast")
    run = await engine.flow(steps({"name": "first", "run": work(probe)}, around, other), probe)
    assert "failed: " in (await failure_of(run)).message
    probe.fail.clear()
    engine.store.sections[run.id].clear()
    for index in (0, 2, 3):
        del engine.store.results[run.id, index]
    await retry_children(engine, run)
    result = await run.result()
    assert [(result[name]["completed"], result[name]["failed"]) for name in ("done", "failed")] == [(2, 0), (2, 0)]
    assert dict(probe.calls) == {"first": 1, "beside": 1, "0": 2, "1": 1, "2": 2, "3": 2}


async def test_services_that_were_missing_are_asked_again_alone(engine: Engine) -> None:
    probe = Probe()
    async with stock_worker(engine):
        run = await engine.flow(services(probe, answers=False))
        assert (await failure_of(run)).message == "No response from stock."
        definition = services(probe, answers=True)
        assert isinstance(run.given, FlowInput)
        run.given = replace(run.given, definition=definition)
        await retry_children(engine, run)
        assert set(await run.result()) == {"product", "stock"}
        assert probe.calls["product"] == 1


async def test_a_flow_that_is_canceled_cancels_its_fan_outs(engine: Engine) -> None:
    probe = Probe()
    probe.hold = {"0"}
    run = await engine.flow(steps(fan_out_step("all", ["a"])), probe)
    await run.calls(1)
    await engine.gateway.cancel(root_id(run.id))
    with pytest.raises(WorkflowFailureError):
        await run.result()
    seen = await engine.gateway.describe_run(stage_id(run.id, 0))
    assert seen is not None
    assert seen.status is Status.CANCELED


async def test_a_fan_out_whose_items_are_inserted_while_the_flow_is_paused_waits(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe, inserts, may_go_on = Probe(), threading.Event(), threading.Event()
    insert = engine.store.begin_fan_out

    def slow(wanted: FanOutRequest) -> Section:
        inserts.set()
        assert may_go_on.wait(60)
        return insert(wanted)

    monkeypatch.setattr(engine.store, "begin_fan_out", slow)
    run = await engine.flow(steps(fan_out_step("all", ["a", "b"])), probe)

    async def is_inserted() -> bool:
        return inserts.is_set()

    await until(is_inserted, "items are being inserted")
    await engine.gateway.pause(run.id)

    async def is_paused() -> bool:
        return (await engine.gateway.progress(run.id)).paused

    await until(is_paused, "the flow is paused")
    may_go_on.set()
    stage = engine.client.get_workflow_handle(stage_id(run.id, 0))

    async def told() -> Progress | None:
        if await engine.gateway.describe_run(stage.id) is None:
            return None
        seen: Progress = await stage.query("progress", result_type=Progress)
        return seen

    seen = await until(told, "the stage is open")
    assert seen is not None
    assert (seen.paused, seen.pending) == (True, 2)
    await engine.gateway.resume(run.id)
    assert (await run.result())["all"]["completed"] == 2
