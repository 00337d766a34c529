"""Parents with a flow of their own: sagas, services, steps from data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from orchestration.contracts.events import EventKind, NodeKind
from orchestration.contracts.status import RunStatus, Status
from orchestration.contracts.workflow_ids import root_id
from tests.support.engine import Engine
from tests.support.flows import saga, services, stock_worker, tree_rows, work
from tests.support.parents import failure_of
from tests.support.probe import Probe
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_saga_runs_its_steps_in_order(engine: Engine) -> None:
    probe = Probe()
    run = await engine.flow(saga(probe))
    assert set(await run.result()) == {"reserve", "charge", "ship"}
    assert list(probe.calls) == ["reserve", "charge", "ship"]


async def test_a_failed_saga_undoes_in_reverse_and_says_what_it_could_not_undo(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"ship", "undo charge"}
    run = await engine.flow(saga(probe))
    error = await failure_of(run)
    assert error.type == "RolledBack"
    assert "ship: ProbeError: ship was told to fail." in error.message
    assert "Undone: reserve. Could not be undone: charge." in error.message
    assert list(probe.calls) == ["reserve", "charge", "ship", "undo charge", "undo reserve"]
    assert await tree_rows(run) == {
        "reserve": (NodeKind.STEP, "", Status.COMPLETED),
        "charge": (NodeKind.STEP, "", Status.COMPLETED),
        "ship": (NodeKind.STEP, "", Status.FAILED),
        "charge/rollback": (NodeKind.ROLLBACK, "charge", Status.FAILED),
        "reserve/rollback": (NodeKind.ROLLBACK, "reserve", Status.COMPLETED),
    }


async def test_services_of_any_type_and_queue_answer_by_name(engine: Engine) -> None:
    async with stock_worker(engine):
        run = await engine.flow(services(Probe(), answers=True))
        assert (await run.result())["stock"] == {"stock": 3}
        assert set(await run.result()) == {"product", "stock"}


async def test_a_missing_service_times_out_alone(engine: Engine) -> None:
    async with stock_worker(engine):
        run = await engine.flow(services(Probe(), answers=False))
        assert (await failure_of(run)).message == "No response from stock."
        told = await engine.gateway.progress(run.id)
        assert (told.total, told.counts.completed, told.counts.timed_out, told.status) == (2, 1, 1, RunStatus.FAILED)
        assert told.rate is not None
        assert await tree_rows(run) == {
            "product": (NodeKind.SERVICE, "", Status.COMPLETED),
            "stock": (NodeKind.SERVICE, "", Status.TIMED_OUT),
        }


async def test_steps_branch_loop_and_run_side_by_side(engine: Engine) -> None:
    probe = Probe()
    definition = {
        "kind": "steps",
        "steps": [
            {"name": "measure", "run": work(probe)},
            {
                "name": "check",
                "if": {"ref": "measure.calls", "op": "<", "value": 5},
                "then": [
                    {"name": "both", "parallel": [{"name": "a", "run": work(probe)}, {"name": "b", "run": work(probe)}]}
                ],
                "else": [{"name": "never", "run": work(probe)}],
            },
            {
                "name": "settle",
                "loop": {
                    "until": {"ref": "again.calls", "op": ">=", "value": 3},
                    "max": 5,
                    "steps": [{"name": "again", "run": work(probe)}],
                },
            },
        ],
    }
    run = await engine.flow(definition)
    result: Any = await run.result()
    assert result["check"] == {"branch": "then"}
    assert result["settle"] == {"rounds": 3, "held": True}
    assert dict(probe.calls) == {"measure": 1, "a": 1, "b": 1, "again": 3}
    assert len(probe.idempotency["again"]) == 3, "each round is another piece of work"
    shown = await tree_rows(run)
    assert set(shown) == {
        *("measure", "check", "check/both", "check/both/a", "check/both/b"),
        *("settle", "settle/again", "settle/again.2", "settle/again.3"),
    }
    assert shown["check/both/a"][1] == "check/both"


@pytest.mark.parametrize("approved", [True, False])
async def test_a_step_waits_for_approval_and_takes_the_branch_for_a_refusal(engine: Engine, approved: bool) -> None:
    probe = Probe()
    definition = {
        "kind": "steps",
        "steps": [
            {
                "name": "release",
                "approval": {"title": "Release it?", "timeout": 60},
                "refused": [{"name": "tell", "run": work(probe)}],
            },
            {"name": "act", "run": work(probe)},
        ],
    }
    run = await engine.flow(definition)

    async def opened() -> Sequence[Any]:
        return run.events(EventKind.GATE_OPENED)

    assert (await until(opened, "the gate is open"))[0].note == "Release it?"
    await engine.gateway.decide(run.id, approved=approved, person="ada")
    if approved:
        assert (await run.result())["release"]["by"] == "ada"
    else:
        assert (await failure_of(run)).message == "Rejected by ada."
    assert list(probe.calls) == (["act"] if approved else ["tell"])


async def test_a_paused_flow_starts_no_further_step(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.flow(saga(probe), probe)
    await run.calls(1)
    await engine.gateway.pause(run.id)

    async def paused() -> bool:
        return (await engine.gateway.progress(run.id)).paused

    await until(paused, "the flow is paused")
    probe.gate.set()

    async def rests() -> bool:
        seen = await engine.gateway.progress(run.id)
        return seen.running == 0 and seen.counts.completed == 1

    await until(rests, "the first step is over")
    seen = await engine.gateway.progress(run.id)
    assert (seen.total, seen.pending, seen.status) == (3, 2, RunStatus.PAUSED)
    assert list(probe.calls) == ["reserve"]
    await engine.gateway.resume(run.id)
    await run.result()
    assert list(probe.calls) == ["reserve", "charge", "ship"]


async def test_a_canceled_saga_is_undone(engine: Engine) -> None:
    probe = Probe()
    probe.hold = {"charge"}
    run = await engine.flow(saga(probe), probe)
    await run.calls(2)
    await engine.gateway.cancel(root_id(run.id))
    assert (await run.closed_event()).outcome is Status.CANCELED
    assert probe.calls["undo reserve"] == 1
