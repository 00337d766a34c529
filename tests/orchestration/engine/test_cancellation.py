"""A cancellation is heard, whatever a flow does in that moment, and what cleans up runs to its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.worker import Worker

from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.events import EventKind, NotifyInput
from orchestration.contracts.names import DASHBOARD_TASK_QUEUE, NOTIFY_ACTIVITY
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id, root_id, stage_id
from tests.support.engine import Engine, Run
from tests.support.flows import fan_out_step, saga, services, steps, work
from tests.support.parents import failure_of
from tests.support.probe import Probe
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

Script = Callable[[Engine, Run], Awaitable[None]]


def stubborn() -> Probe:
    """Return a probe whose items wait for their gate, and end as if nothing had been said when they are canceled."""
    probe = Probe()
    probe.gate.clear()
    probe.ignores_cancel = True
    return probe


async def paused(engine: Engine, run: Run) -> None:
    await engine.gateway.pause(run.id)

    async def is_paused() -> bool:
        return (await engine.gateway.progress(run.id)).paused

    await until(is_paused, "it is paused")


async def requested(engine: Engine, workflow_id: str) -> None:
    """Await that a workflow's history has the request to cancel it."""
    handle = engine.client.get_workflow_handle(workflow_id)

    async def is_requested() -> bool:
        history = await handle.fetch_history()
        return any(event.HasField("workflow_execution_cancel_requested_event_attributes") for event in history.events)

    await until(is_requested, "Temporal has the request")


async def canceled(run: Run) -> None:
    """Await the end, and check that Temporal and what was reported both say canceled."""
    with pytest.raises(WorkflowFailureError):
        await run.result()
    assert (await run.root.describe()).status is WorkflowExecutionStatus.CANCELED
    assert (await run.closed_event()).outcome is Status.CANCELED


async def cancel_at_work(engine: Engine, run: Run, pause_first: bool) -> None:
    """Cancel while the first step is at work, which completes in spite of it."""
    await run.calls(1)
    if pause_first:
        await paused(engine, run)
    await engine.gateway.cancel(root_id(run.id))
    await requested(engine, root_id(run.id))
    run.probe.gate.set()
    await canceled(run)


@pytest.mark.parametrize("pause_first", [False, True])
async def test_a_step_that_completes_in_spite_of_it_is_the_last(engine: Engine, pause_first: bool) -> None:
    """Of a flow, one below another step, a saga (which is undone), a pipeline: all at once."""

    async def one(definition: Callable[[Probe], dict[str, Any]], expected: list[str], items: int = 0) -> None:
        probe = stubborn()
        run = await engine.flow(definition(probe), probe, items=items)
        await cancel_at_work(engine, run, pause_first)
        assert list(probe.calls) == expected

    def sequence(probe: Probe) -> dict[str, Any]:
        return steps(*({"name": f"s{number}", "run": work(probe)} for number in range(3)))

    def nested(probe: Probe) -> dict[str, Any]:
        loop = {
            "max": 9,
            "until": {"ref": "a.calls", "op": ">", "value": 9},
            "steps": [{"name": "a", "run": work(probe)}],
        }
        return steps({"name": "both", "parallel": [{"name": "loop", "loop": loop}]})

    await asyncio.gather(
        one(sequence, ["s0"]),
        one(nested, ["a"]),
        one(saga, ["reserve", "undo reserve"]),
    )


async def test_what_undoes_a_failed_saga_is_not_stopped_by_a_cancel_or_a_pause(engine: Engine) -> None:
    probe = Probe()
    probe.fail, probe.hold_once = {"ship"}, {"undo charge"}
    run = await engine.flow(saga(probe), probe)
    await run.calls(4)
    await paused(engine, run)
    await engine.gateway.cancel(root_id(run.id))
    await asyncio.gather(canceled(run), release_undo(engine, run))
    assert list(probe.calls) == ["reserve", "charge", "ship", "undo charge", "undo reserve"]


async def release_undo(engine: Engine, run: Run) -> None:
    """Let the compensation go on once the request has arrived."""
    await requested(engine, root_id(run.id))
    run.probe.released.set()


async def test_a_stage_that_was_canceled_elsewhere_fails_its_flow_and_not_its_workflow_task(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.flow(steps(fan_out_step("all", ["a"])), probe)
    await run.calls(1)
    await engine.client.get_workflow_handle(stage_id(run.id, 0)).cancel()
    assert (await failure_of(run)).type in ("Canceled", "StepFailed")
    assert (await run.closed_event()).outcome is Status.FAILED


async def test_services_that_are_paused_and_canceled_end_with_their_root(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.flow(services(probe, answers=False), probe)
    await run.calls(1)
    await paused(engine, run)
    await engine.gateway.cancel(root_id(run.id))
    await canceled(run)
    ended = {event.workflow_id for event in run.events(EventKind.CLOSED)}
    assert {event.workflow_id for event in run.events(EventKind.STARTED)} <= ended


async def test_a_fan_out_that_is_paused_held_or_behind_an_open_breaker_gives_way(engine: Engine) -> None:
    async def one(script: str, **plan: Any) -> None:
        probe = Probe()
        probe.fail = {"0"}
        run = await engine.launch(3, probe, window=1, chunk_size=1, **plan)
        await run.calls(1)
        if script == "pause":
            await paused(engine, run)
        else:

            async def is_waiting() -> bool:
                progress = await engine.gateway.progress(run.id)
                return bool(progress.held) or (progress.running == 0 and progress.counts.failed == 1)

            await until(is_waiting, script)
        await engine.gateway.cancel(root_id(run.id))
        await canceled(run)

    await asyncio.gather(
        one("hold", failure_policy="fail_fast", on_threshold="hold"),
        one("breaker", breaker_failures=1, breaker_cooldown=600),
        one("groups", group_size=1, group_delay=600),
    )


async def test_an_approval_gives_way(engine: Engine) -> None:
    approval = {"name": "release", "approval": {"title": "Release it?", "timeout": 600}}
    flow, fan_out = await engine.flow(steps(approval)), await engine.launch(2, approval=True)
    for run in (flow, fan_out):

        async def opened(run: Run = run) -> list[Any]:
            return run.events(EventKind.GATE_OPENED)

        await until(opened, "the gate is open")
        await engine.gateway.cancel(root_id(run.id))
        await canceled(run)
    assert child_id(fan_out.id, 0, None) not in {event.workflow_id for event in fan_out.events(EventKind.STARTED)}


async def test_a_saga_that_reports_its_end_is_not_canceled_any_more(
    deaf_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of its steps have completed: canceled it would have to undo them."""
    for name in ("outbox.NOTIFY_TIMEOUT", "outbox.NOTIFY_ATTEMPT_TIMEOUT", "flows.flow.LONG_CLOSE_TIMEOUT"):
        monkeypatch.setattr(f"orchestration.engine.{name}", timedelta(minutes=5))
    told, answered = asyncio.Event(), asyncio.Event()
    engine, probe = deaf_engine, Probe()

    @activity.defn(name=NOTIFY_ACTIVITY)
    async def notify(given: NotifyInput) -> None:
        if any(event.kind is EventKind.CLOSED and "/" not in event.workflow_id for event in given.events):
            told.set()
            await answered.wait()

    async with Worker(engine.client, task_queue=DASHBOARD_TASK_QUEUE, activities=[notify]):
        run = await engine.flow(saga(probe), probe)
        async with asyncio.timeout(60):
            await told.wait()
        await engine.gateway.cancel(root_id(run.id))
        await requested(engine, root_id(run.id))
        answered.set()
        assert set(await run.result()) == {"reserve", "charge", "ship"}
    assert list(probe.calls) == ["reserve", "charge", "ship"]


class HeldResults(dict[tuple[str, int], ItemResult]):
    """Results of a store that takes none before it may."""

    def __init__(self, kept: dict[tuple[str, int], ItemResult]) -> None:
        super().__init__(kept)
        self.writing, self.may_write = threading.Event(), threading.Event()

    def __setitem__(self, key: tuple[str, int], result: ItemResult) -> None:
        self.writing.set()
        self.may_write.wait(60)
        super().__setitem__(key, result)


async def test_the_result_of_an_item_is_written_although_its_child_is_canceled(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = HeldResults(engine.store.results)
    monkeypatch.setattr(engine.store, "results", held)

    async def is_writing() -> bool:
        return held.writing.is_set()

    probe = Probe()
    probe.saga = saga(probe) | {"fan_out": True}
    run = await engine.launch(1, probe)
    await until(is_writing, "the result is being written")
    await engine.gateway.cancel(root_id(run.id))
    child = child_id(run.id, 0, None)
    await requested(engine, child)
    held.may_write.set()
    await canceled(run)
    assert (await engine.client.get_workflow_handle(child).describe()).status is WorkflowExecutionStatus.COMPLETED
    assert set(held[run.id, 0].result) == {"reserve", "charge", "ship"}
    assert [key for key in probe.calls if key.startswith("undo")] == []
