"""An input of unknown length: read page by page while it runs, by as many runs of the root as it takes."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from orchestration.contracts.events import EventKind
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import WorkflowTree, child_id, partition_id, root_id
from orchestration.worker import WORKFLOWS
from tests.support.engine import Engine, Run, failed
from tests.support.probe import Probe
from tests.support.stack import EVENTS_OF_A_RUN
from tests.support.waiting import until

pytestmark = pytest.mark.slow

SMALL: dict[str, Any] = {"paged": True, "page_children": 4}


async def runs_of_root(engine: Engine, run: Run) -> list[str]:
    query = f'WorkflowId = "{root_id(run.id)}"'
    return [seen.run_id async for seen in engine.client.list_workflows(query)]


async def histories(engine: Engine, run: Run) -> list[WorkflowHistory]:
    """Return those of the root's runs, from the first to the last, each of which names the next."""
    found, run_id = list[WorkflowHistory](), run.events(EventKind.STARTED)[0].run_id
    while run_id:
        found.append(await engine.client.get_workflow_handle(root_id(run.id), run_id=run_id).fetch_history())
        run_id = found[-1].events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return found


async def test_a_page_is_read_when_there_is_room_for_it(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(40, probe, **SMALL, window=4)
    await run.calls(4)
    assert engine.store.pages[run.id] <= 4, "two partitions are open, and one page is ready"
    probe.gate.set()
    result = await run.result()
    assert result.counts.completed == 40
    assert engine.store.pages[run.id] == 11, "the page after the last full one told that there was no more"


async def test_the_root_goes_on_in_new_runs_that_are_one_to_whoever_watches(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1", "50"}
    run = await engine.launch(56, probe, **SMALL)
    result = await run.result()
    assert (result.counts.completed, result.counts.failed) == (54, 2)
    assert set(probe.calls.values()) == {1}, "no item twice, none lost"
    assert len(probe.calls) == 56
    found = await histories(engine, run)
    assert len(found) >= 2
    assert all(len(history.events) < 2 * EVENTS_OF_A_RUN for history in found)
    await run.closed_event()
    root = [event for event in run.events() if event.workflow_id == root_id(run.id)]
    assert [event.kind for event in root if event.kind is EventKind.STARTED] == [EventKind.STARTED]
    assert len({event.run_id for event in root}) == 1
    assert len([event for event in root if event.kind is EventKind.CONTINUED]) == len(found) - 1
    seen = await engine.gateway.describe_run(root_id(run.id))
    assert seen is not None
    assert (seen.run_id, seen.status) == (root[0].run_id, Status.COMPLETED)
    assert await engine.gateway.describe_run(root_id(run.id), seen.run_id) == seen

    async def listed() -> bool:
        runs = [
            each
            async for each in engine.gateway.runs(WorkflowTree(root_id(run.id)))
            if each.workflow_id == root_id(run.id)
        ]
        counts = await engine.gateway.count_runs(WorkflowTree(root_id(run.id)))
        return [each.run_id for each in runs] == [seen.run_id] and counts[Status.COMPLETED] == 54 + 14 + 1

    await until(listed, "the runs of the root are listed as one")
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    for history in found:
        await replayer.replay_workflow(history)


async def test_what_failed_in_an_earlier_run_is_retried_in_a_later_one_and_after_the_last(engine: Engine) -> None:
    probe = Probe()
    probe.fail, probe.hold = {"1", "2"}, {"48"}
    run = await engine.launch(60, probe, **SMALL)

    async def has_come_to_it() -> bool:
        return probe.calls["48"] == 1 and len(await runs_of_root(engine, run)) > 1

    await until(has_come_to_it, "a later run holds at item 48")
    probe.fail.clear()
    assert (await run.retry([1])).accepted == [1]
    await until(lambda: _called(probe, "1", 2), "child 1 runs again")
    probe.hold.clear()
    await engine.client.get_workflow_handle(child_id(run.id, 48, 12)).terminate("let go")
    result = await run.result()
    assert (result.counts.completed, result.counts.failed, result.counts.terminated) == (58, 1, 1)
    answer = await run.retry([2, 48, 3])
    assert set(answer.accepted) >= {2, 48}
    result = await run.result()
    assert probe.calls["2"] == 2
    assert probe.calls["3"] == 1, "what had completed does not run again"
    assert result.counts.completed >= 2


async def _called(probe: Probe, key: str, times: int) -> bool:
    return probe.calls[key] >= times


async def test_an_input_that_cannot_be_read_on_stops_the_batch_and_keeps_what_was_done(engine: Engine) -> None:
    probe = Probe()
    probe.torn_page = 3
    run = await engine.launch(40, probe, **SMALL)
    with pytest.raises(WorkflowFailureError) as raised:
        await run.result()
    assert "Page 3 is torn." in str(raised.value.cause)
    started = {event.workflow_id for event in run.events(EventKind.STARTED)}
    assert partition_id(run.id, 2) in started


async def test_a_limit_of_failures_counts_over_all_runs(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1", "45", "50"}
    run = await engine.launch(110, probe, **SMALL, failure_policy="tolerate", tolerated_failures=2)
    with pytest.raises(WorkflowFailureError) as raised:
        await run.result()
    assert "children failed, 2 tolerated" in str(raised.value.cause)
    assert len(await histories(engine, run)) > 1
    assert len(probe.calls) < 110


async def test_a_pause_and_a_window_hold_over_runs(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(60, probe, **SMALL, window=2)
    await run.calls(2)
    await engine.gateway.set_window(run.id, 8)
    await run.calls(8)
    await engine.gateway.pause(run.id)
    probe.gate.set()

    async def is_paused() -> bool:
        progress = await engine.gateway.progress(run.id)
        return progress.paused and progress.window == 8

    await until(is_paused, "the root is paused")
    await engine.gateway.resume(run.id)
    result = await run.result()
    assert failed(Status.FAILED, result) == []
    assert result.counts.completed == 60
    assert probe.most <= 8
