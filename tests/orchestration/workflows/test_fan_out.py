"""A fan-out on a real server: window, policies, pause, cancel, partitions, and what the dashboard hears of it."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import Replayer

from orchestration.contracts.events import EventKind
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id, partition_id, root_id
from orchestration.worker import WORKFLOWS
from tests.support.engine import Engine, Run, failed
from tests.support.probe import Probe
from tests.support.waiting import until


async def test_a_failed_child_fails_no_other_and_is_listed(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"3", "7"}
    run = await engine.launch(20, probe)
    result = await run.result()
    assert (result.counts.completed, result.counts.failed) == (18, 2)
    assert failed(Status.FAILED, result) == [3, 7]
    assert all(probe.calls[str(index)] == 1 for index in range(20))


async def test_every_child_is_notified_once_started_and_once_closed_with_its_reason(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1"}
    run = await engine.launch(5, probe)
    await run.closed_event()
    for child in range(5):
        events = [event for event in run.events() if event.workflow_id == child_id(run.id, child, None)]
        assert [event.kind for event in events] == [EventKind.STARTED, EventKind.CLOSED]
        assert events[1].outcome is (Status.FAILED if child == 1 else Status.COMPLETED)
    reasons = [event.failure for event in run.events() if event.failure is not None]
    assert [(reason.type, reason.message) for reason in reasons] == [("ProbeError", "1 was told to fail.")]


async def test_a_chunk_with_failed_items_fails_with_their_number_and_keeps_the_rest(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"4", "5"}
    run = await engine.launch(8, probe, chunk_size=4)
    result = await run.result()
    assert failed(Status.FAILED, result) == [1]
    await run.closed_event()
    reasons = [event.failure for event in run.events() if event.failure is not None]
    assert reasons[0].type == "ItemsFailed"
    assert reasons[0].message.startswith("2 of 4 items failed: ")
    stored = [engine.store.results[run.id, index].failure is None for index in range(8)]
    assert stored == [True] * 4 + [False, False, True, True]


async def test_items_get_their_attempts_before_they_count_as_failed(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"0"}
    run = await engine.launch(1, probe, item_attempts=3, item_backoff=0)
    await run.result()
    assert probe.calls["0"] == 3
    assert engine.store.results[run.id, 0].attempts == 3


async def test_an_invalid_item_is_not_retried(engine: Engine) -> None:
    probe = Probe()
    probe.invalid = {"1"}
    run = await engine.launch(2, probe, item_attempts=5, item_backoff=0)
    assert (await run.result()).counts.failed == 1
    assert probe.calls["1"] == 1
    failure = engine.store.results[run.id, 1].failure
    assert failure is not None
    assert failure.type == "ValidationError"


async def test_an_item_that_takes_too_long_fails_as_a_timeout(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(1, probe, item_timeout=0.2)
    assert failed(Status.FAILED, await run.result()) == [0]
    failure = engine.store.results[run.id, 0].failure
    assert failure is not None
    assert failure.type == "Timeout"


async def test_never_more_children_are_open_than_the_window_and_it_can_be_changed(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(12, probe, window=3)
    await run.calls(3)
    assert (await engine.gateway.progress(run.id)).running == 3
    await engine.gateway.set_window(run.id, 7)
    await run.calls(7)
    assert (await engine.gateway.progress(run.id)).running == 7
    probe.gate.set()
    await run.result()
    assert probe.most == 7
    await run.closed_event()
    assert [event.window for event in run.events(EventKind.WINDOW)] == [7]


async def test_a_paused_batch_starts_nothing_until_it_is_resumed(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(6, probe, window=2)
    await run.calls(2)
    await engine.gateway.pause(run.id)

    async def paused() -> bool:
        return (await engine.gateway.progress(run.id)).paused

    await until(paused, "the root is paused")
    probe.gate.set()

    async def drained() -> bool:
        return (await engine.gateway.progress(run.id)).running == 0

    await until(drained, "open children close")
    assert (await engine.gateway.progress(run.id)).pending == 4
    await engine.gateway.resume(run.id)
    assert (await run.result()).counts.completed == 6
    await run.closed_event()
    kinds = [event.kind for event in run.events() if event.kind in (EventKind.PAUSED, EventKind.RESUMED)]
    assert kinds == [EventKind.PAUSED, EventKind.RESUMED]


async def test_fail_fast_cancels_what_is_open_and_skips_the_rest(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"0"}
    run = await engine.launch(50, probe, window=2, failure_policy="fail_fast")
    with pytest.raises(WorkflowFailureError) as raised:
        await run.result()
    assert isinstance(raised.value.cause, ApplicationError)
    assert raised.value.cause.type == "FailurePolicyExceeded"
    assert len(probe.calls) < 50
    assert (await run.closed_event()).outcome is Status.FAILED


@pytest.mark.parametrize("limit", [{"tolerated_failures": 2}, {"tolerated_percent": 10}])
async def test_a_tolerated_number_or_share_of_failures_does_not_stop_a_batch(
    engine: Engine, limit: dict[str, int]
) -> None:
    probe = Probe()
    probe.fail = {"0", "1"}
    run = await engine.launch(20, probe, window=1, failure_policy="tolerate", **limit)
    assert (await run.result()).counts.failed == 2
    probe.fail.add("2")
    again = await engine.launch(20, probe, window=1, failure_policy="tolerate", **limit)
    with pytest.raises(WorkflowFailureError) as raised:
        await again.result()
    assert "3 of 20 children failed" in str(raised.value.cause)


async def test_cancel_stops_open_children_and_keeps_what_had_completed(engine: Engine) -> None:
    probe = Probe()
    probe.hold = {"4", "5"}
    run = await engine.launch(20, probe, window=2)
    await run.calls(6)
    completed = sum(result.failure is None for (batch, _), result in engine.store.results.items() if batch == run.id)
    await engine.gateway.cancel(root_id(run.id))
    with pytest.raises(WorkflowFailureError) as raised:
        await run.result()
    assert isinstance(raised.value.cause, CancelledError)
    assert (await run.closed_event()).outcome is Status.CANCELED
    outcomes = [event.outcome for event in run.events(EventKind.CLOSED)]
    assert outcomes.count(Status.CANCELED) == 3  # two children and the root
    assert outcomes.count(Status.COMPLETED) == completed == 4


async def test_a_dashboard_that_is_away_neither_stalls_nor_fails_a_batch(deaf_engine: Engine) -> None:
    run = await deaf_engine.launch(30)
    assert (await run.result()).counts.completed == 30
    assert run.events() == []


async def test_children_of_a_large_batch_lie_below_partitions(engine: Engine, small_partitions: None) -> None:
    probe = Probe()
    probe.fail = {"5"}
    run = await engine.launch(10, probe)
    result = await run.result()
    assert (result.counts.completed, result.counts.failed) == (9, 1)
    assert failed(Status.FAILED, result) == [5]
    await run.closed_event()
    started = {event.workflow_id for event in run.events(EventKind.STARTED)}
    assert {partition_id(run.id, 0), partition_id(run.id, 1), partition_id(run.id, 2)} <= started
    assert child_id(run.id, 9, 2) in started


async def test_partitions_share_the_window_and_follow_pause_and_change(engine: Engine, small_partitions: None) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(16, probe, window=4)
    await run.calls(4)
    await engine.gateway.set_window(run.id, 8)
    await run.calls(8)
    await engine.gateway.pause(run.id)

    async def all_paused() -> bool:
        ids = [partition_id(run.id, partition) for partition in range(2)]
        handles = [engine.client.get_workflow_handle(each) for each in ids]
        return all([(await handle.query("progress"))["paused"] for handle in handles])

    await until(all_paused, "every partition is paused")
    probe.gate.set()
    await engine.gateway.resume(run.id)
    assert (await run.result()).counts.completed == 16
    assert probe.most == 8


async def test_failures_in_partitions_count_against_the_limit_of_the_batch(
    engine: Engine, small_partitions: None
) -> None:
    probe = Probe()
    probe.fail = {"0", "4", "8"}
    run = await engine.launch(40, probe, window=4, failure_policy="tolerate", tolerated_failures=2)
    with pytest.raises(WorkflowFailureError) as raised:
        await run.result()
    assert "40 children failed, 2 tolerated" in str(raised.value.cause)


async def test_a_parent_has_at_most_six_history_events_a_child(engine: Engine) -> None:
    children = 120
    run = await engine.launch(children)
    await run.result()
    history = await run.root.fetch_history()
    assert len(history.events) <= 6 * children
    size = sum(event.ByteSize() for event in history.events)
    assert size < 1_500 * children, "no payload of items or results may lie in a parent's history"


async def test_histories_replay(engine: Engine, small_partitions: None) -> None:
    probe = Probe()
    probe.fail = {"1", "9"}
    flat, tree = await engine.launch(5, probe), await engine.launch(12, probe)
    for run in (flat, tree):
        await run.result()
    probe.fail.clear()
    await tree.retry([9])
    await tree.result()
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    for history in await _histories(engine, flat) + await _histories(engine, tree):
        await replayer.replay_workflow(history)


async def _histories(engine: Engine, run: Run) -> list[WorkflowHistory]:
    handles = [engine.client.get_workflow_handle(seen.workflow_id, run_id=seen.run_id) for seen in await run.listed()]
    return [await handle.fetch_history() for handle in handles]
