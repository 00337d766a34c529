"""Large results of steps are in the store, and whatever refers to them gets them from there."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.activities import step_results
from orchestration.contracts.events import EventKind
from orchestration.contracts.status import Status
from orchestration.contracts.step_results import StoredResult, text_of
from orchestration.contracts.workflow_ids import child_id
from tests.support.bulk import much
from tests.support.engine import Engine, Run
from tests.support.flows import fan_out_step, retry_children, steps, stock_worker, tree_rows, work
from tests.support.parents import failure_of
from tests.support.probe import Probe

pytestmark = pytest.mark.asyncio(loop_scope="session")

HALF_A_MEGABYTE = 500_000


def takes(probe: Probe, **data: Any) -> dict[str, Any]:
    """Return the processor of a step that records the data it gets."""
    return work(probe) | {"input": data}


async def bytes_of_history(run: Run) -> int:
    history = await run.root.fetch_history()
    return sum(len(event.SerializeToString()) for event in history.events)


async def test_twelve_steps_of_half_a_megabyte_complete_with_a_small_history(engine: Engine) -> None:
    probe = Probe()
    last = {"name": "last", "run": takes(probe, all={"ref": "s0"}, text={"ref": "s11.data"}, n=[{"ref": "s3.number"}])}
    run = await engine.flow(steps(*(much(f"s{number}", HALF_A_MEGABYTE) for number in range(12)), last), probe)
    result = await run.result()
    assert await bytes_of_history(run) < 200_000
    assert probe.given["last"]["all"]["data"] == "s0".ljust(HALF_A_MEGABYTE, "x")
    assert probe.given["last"]["text"] == "s11".ljust(HALF_A_MEGABYTE, "x")
    assert probe.given["last"]["n"] == [7]
    assert result["last"] == {"calls": 1}, "a small result is returned itself"
    stored = StoredResult.of(result["s0"])
    assert stored is not None
    assert stored.bytes > HALF_A_MEGABYTE
    kept = engine.store.step_results[run.id, stored.id]
    assert (kept.step, kept.size) == (f"{run.root.id}/s0", stored.bytes)
    assert text_of(kept.content).startswith('{"data":"s0x')
    await run.closed_event()
    notes = {event.workflow_id: event.note for event in run.events(EventKind.CLOSED)}
    assert notes[f"{run.root.id}/s0"].startswith("data: s0x"), "the row shows of it what it shows of any result"


async def test_conditions_loops_and_fan_outs_look_into_results_in_the_store(engine: Engine) -> None:
    probe = Probe()
    both = {"name": "both", "parallel": [much("large", 10_000, 3), {"name": "small", "run": work(probe)}]}
    loop = {
        "max": 3,
        "while": {
            "all": [{"ref": "again.number", "op": "==", "value": 7}, {"ref": "tries.calls", "op": "<", "value": 2}]
        },
        "steps": [much("again", 10_000), {"name": "tries", "run": work(probe)}],
    }
    choice = {
        "name": "choice",
        "if": {"not": {"ref": "both.large.number", "op": "!=", "value": 7}},
        "then": [{"name": "yes", "run": takes(probe, whole={"ref": "both"})}],
        "else": [{"name": "no", "run": work(probe)}],
    }
    each = fan_out_step("each", {"ref": "both.result.large.entries"})
    run = await engine.flow(steps(both, choice, {"name": "loop", "loop": loop}, each), probe)
    result = await run.result()
    assert result["choice"] == {"branch": "then"}
    assert probe.given["yes"]["whole"]["large"]["entries"] == ["e0", "e1", "e2"]
    assert probe.given["yes"]["whole"]["small"] == {"calls": 1}
    assert result["loop"] == {"rounds": 2, "held": True}
    assert (result["each"]["items"], result["each"]["completed"]) == (3, 3)


async def test_what_is_missing_in_a_result_in_the_store_is_said_as_of_any_other(engine: Engine) -> None:
    probe = Probe()
    run = await engine.flow(steps(much("s"), {"name": "last", "run": takes(probe, it={"ref": "s.nothing"})}), probe)
    assert "s.nothing: there is no 'nothing'." in (await failure_of(run)).message
    run = await engine.flow(steps(much("s"), fan_out_step("all", {"ref": "s.data"})), probe)
    assert "all: its items do not refer to a list." in (await failure_of(run)).message
    absent = {
        "name": "choice",
        "if": {"ref": "s.nothing", "op": "exists"},
        "then": [{"name": "no", "run": work(probe)}],
    }
    run = await engine.flow(steps(much("s"), absent), probe)
    assert (await run.result())["choice"] == {"branch": "else"}
    assert not probe.calls


async def test_a_result_beyond_its_own_limit_says_how_large_it_is_and_what_to_do(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_results, "RESULT_LIMIT", 1_000_000)
    run = await engine.flow(steps(much("large", 1_000_000)), item_attempts=3)
    message = (await failure_of(run)).message
    assert "The result of large has 1,000,0" in message
    assert "have it write the data to where the next step can read it" in message


async def test_a_result_that_looks_like_a_reference_is_kept_and_never_followed(engine: Engine) -> None:
    probe = Probe()
    given = {"canopy_stored": {"id": "0" * 32, "bytes": 1, "note": ""}}
    echo = {"name": "echo", "run": {"processor": "echo", "input": {"value": given}}}
    run = await engine.flow(steps(echo, {"name": "last", "run": takes(probe, it={"ref": "echo.value"})}), probe)
    await run.result()
    assert probe.given["last"]["it"] == given


async def test_sagas_undo_with_results_in_the_store_and_items_get_theirs_whole(engine: Engine) -> None:
    probe = Probe()
    bulk = much("get")["run"] | {"name": "get", "compensation": takes(probe, it={"ref": "get.number"})}
    put = {"name": "put", **takes(probe, text={"ref": "get.data"})}
    definition = {"kind": "saga", "steps": [bulk, put]}
    probe.fail = {"put"}
    run = await engine.flow(definition, probe)
    assert "Undone: get." in (await failure_of(run)).message
    assert probe.given["undo get"] == {"it": 7}
    assert probe.given["put"]["text"].startswith("getx")
    assert await bytes_of_history(run) < 200_000

    probe.saga, probe.fail = definition | {"fan_out": True}, set()
    items = await engine.launch(1, probe)
    await items.result()
    written = engine.store.results[items.id, 0].result
    assert (written["get"]["number"], written["put"]) == (7, {"calls": 1})
    assert len(written["get"]["data"]) > HALF_A_MEGABYTE
    child = engine.client.get_workflow_handle(child_id(items.id, 0, None))
    history = await child.fetch_history()
    assert sum(len(event.SerializeToString()) for event in history.events) < 200_000


async def test_a_service_of_our_own_keeps_its_answer_in_the_store(engine: Engine) -> None:
    run = await engine.flow({"kind": "services", "services": [much("one")["run"] | {"name": "one"}]})
    stored = StoredResult.of((await run.result())["one"])
    assert stored is not None
    assert engine.store.step_results[run.id, stored.id].step == f"{run.root.id}/one"


async def test_services_of_others_keep_what_they_answer_so_that_the_missing_one_is_asked_again(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"own"}
    other = {"workflow_type": "StockWorkflow", "task_queue": "stock", "input": {"answers": True, "much": 900_000}}
    listed = [{"name": "one", **other}, {"name": "two", **other}, {"name": "own", **work(probe)}]
    async with stock_worker(engine):
        run = await engine.flow({"kind": "services", "services": listed}, probe)
        assert (await failure_of(run)).message == "No response from own."
        probe.fail.clear()
        await retry_children(engine, run)
        result = await run.result()
        stored = StoredResult.of(result["two"])
        assert stored is not None
        assert text_of(engine.store.step_results[run.id, stored.id].content).startswith('{"stock":3,"list":"xxx')
        assert await bytes_of_history(run) < 100_000
        assert (await tree_rows(run))["own"][2] is Status.COMPLETED


@pytest.mark.parametrize("more", [{"text": "x" * 300_000}, {"canopy_stored": {"id": "item-0", "bytes": 1, "note": ""}}])
async def test_an_item_of_a_saga_is_in_the_history_of_none_of_its_steps(engine: Engine, more: dict[str, Any]) -> None:
    probe = Probe()
    probe.saga_data = more
    names = [{"name": name, **takes(probe, whole={"ref": "item"}, n={"ref": "item.number"})} for name in "abcd"]
    probe.saga = {"kind": "saga", "fan_out": True, "steps": [*names, {"name": "plain", **work(probe)}]}
    items = await engine.launch(1, probe)
    assert (await items.result()).counts.completed == 1
    expected = {"number": 0} | more
    assert probe.given["d 0"] == {"whole": expected, "n": 0}
    assert probe.given["plain 0"] == expected
    assert set(engine.store.results[items.id, 0].result) == {"a", "b", "c", "d", "plain"}
    history = await engine.client.get_workflow_handle(child_id(items.id, 0, None)).fetch_history()
    assert sum(len(event.SerializeToString()) for event in history.events) < 100_000
