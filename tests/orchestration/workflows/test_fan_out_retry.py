"""Retry: the same place in the tree, only what failed; while the parent runs and after it closed."""

from __future__ import annotations

import asyncio

import pytest

from orchestration.client import update_routing
from orchestration.contracts.events import EventKind
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id, partition_id, root_id
from orchestration.temporal.connection import BatchNotRunning
from tests.support.engine import Engine, Run, failed
from tests.support.probe import Probe
from tests.support.waiting import until


async def test_a_failed_child_of_a_closed_batch_gets_another_run_of_the_same_workflow(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1", "3"}
    run = await engine.launch(5, probe)
    await run.result()
    probe.fail = {"3"}
    answer = await run.retry([1, 3])
    assert (sorted(answer.accepted), answer.refused) == ([1, 3], {})
    result = await run.result()
    assert failed(Status.FAILED, result) == [3]
    assert probe.calls == {"0": 1, "1": 2, "2": 1, "3": 2, "4": 1}
    runs = {event.run_id for event in run.events(EventKind.STARTED) if event.workflow_id == child_id(run.id, 1, None)}
    assert len(runs) == 2


async def test_only_the_failed_items_of_a_chunk_run_again(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"2"}
    run = await engine.launch(4, probe, chunk_size=4)
    await run.result()
    probe.fail = set()
    await run.retry([0])
    assert (await run.result()).counts.completed == 1
    assert probe.calls == {"0": 1, "1": 1, "2": 2, "3": 1}


async def test_a_retry_works_while_the_parent_runs_and_refuses_what_runs_or_completed(engine: Engine) -> None:
    probe = Probe()
    probe.fail, probe.hold_once = {"0"}, {"1"}
    run = await engine.launch(3, probe, window=1)
    await run.calls(2)

    async def first_failed() -> bool:
        return (await engine.gateway.progress(run.id)).counts.failed == 1

    await until(first_failed, "the first child has failed")
    answer = await run.retry([0, 1])
    assert answer.accepted == [0]
    assert answer.refused == {1: "already running"}
    probe.fail = set()
    probe.released.set()
    assert (await run.result()).counts.completed == 3


async def test_two_operators_at_once_start_one_attempt(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"0"}
    run = await engine.launch(2, probe)
    await run.result()
    probe.fail = set()
    probe.gate.clear()
    answers = await asyncio.gather(run.retry([0]), run.retry([0]), run.retry([0], "same"), run.retry([0], "same"))
    probe.gate.set()
    await run.result()
    assert probe.calls["0"] == 2
    assert sum(bool(answer.accepted) for answer in answers) in (1, 2)  # the same id twice has the same answer
    refusals = [reason for answer in answers for reason in answer.refused.values()]
    assert set(refusals) == {"already running"}


async def test_a_completed_child_does_not_run_again_even_if_asked_to(engine: Engine) -> None:
    run = await engine.launch(2)
    await run.result()
    await run.retry([0])
    await run.result()
    assert run.probe.calls == {"0": 1, "1": 1}


@pytest.mark.usefixtures("small_partitions")
async def test_a_child_below_a_closed_partition_of_a_closed_root_is_reached(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1", "9"}
    run = await engine.launch(12, probe)
    await run.result()
    probe.fail = set()
    answer = await run.retry([1, 9])
    assert sorted(answer.accepted) == [1, 9]
    assert (await run.result()).counts.completed == 2
    assert all(probe.calls[str(index)] == (2 if index in (1, 9) else 1) for index in range(12))
    runs = [seen.workflow_id for seen in await run.listed()]
    assert runs.count(root_id(run.id)) == 2
    assert [runs.count(partition_id(run.id, partition)) for partition in range(3)] == [2, 1, 2]


@pytest.mark.usefixtures("small_partitions")
async def test_a_child_below_a_closed_partition_of_a_running_root_is_reached(engine: Engine) -> None:
    probe = Probe()
    probe.fail, probe.hold_once = {"1"}, {"15"}
    run = await engine.launch(16, probe, window=1)

    async def first_partition_closed() -> bool:
        seen = await engine.gateway.describe_run(partition_id(run.id, 0))
        return seen is not None and seen.status is Status.COMPLETED

    await run.calls(3)
    await until(first_partition_closed, "the first partition has closed")
    probe.fail = set()
    answer = await run.retry([1], open_partitions=[0])
    assert answer.accepted == [1]
    probe.released.set()
    result = await run.result()
    assert (result.counts.completed, result.counts.failed) == (16, 0)
    assert probe.calls["1"] == 2


@pytest.mark.usefixtures("small_partitions")
async def test_a_child_below_an_open_partition_is_reached(engine: Engine) -> None:
    probe = Probe()
    probe.fail, probe.hold_once = {"0"}, {"1"}
    run = await engine.launch(8, probe, window=1)
    await run.calls(2)
    probe.fail = set()
    answer = await run.retry([0], open_partitions=[])
    assert answer.accepted == [0]
    probe.released.set()
    assert (await run.result()).counts.completed == 8


async def test_a_batch_that_was_terminated_can_be_retried(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(3, probe)
    await run.calls(3)
    await engine.gateway.terminate(root_id(run.id), "test")
    probe.gate.set()
    answer = await run.retry([0, 1, 2])
    assert sorted(answer.accepted) == [0, 1, 2]
    assert (await run.result()).counts.completed == 3


async def test_a_closed_batch_takes_no_signal(engine: Engine) -> None:
    run = await engine.launch(1)
    await run.result()
    for ask in (engine.gateway.pause, engine.gateway.resume, engine.gateway.cancel):
        with pytest.raises(BatchNotRunning):
            await ask(run.id)
    with pytest.raises(BatchNotRunning):
        await engine.gateway.terminate(root_id("000000000000"), "unknown")


@pytest.mark.usefixtures("small_partitions")
async def test_more_children_than_one_update_may_name_are_retried_by_several(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update_routing, "CHILDREN_PER_UPDATE", 2)
    probe = Probe()
    probe.fail = {str(index) for index in range(5)}
    run = await engine.launch(5, probe)
    await run.result()
    probe.fail = set()
    answer = await run.retry(range(5))
    assert (sorted(answer.accepted), answer.refused) == ([0, 1, 2, 3, 4], {})
    await run.result()

    async def each_ran_twice() -> bool:
        return probe.calls == {str(index): 2 for index in range(5)}

    await until(each_ran_twice, "each child has run twice")


async def test_a_completed_child_runs_again_by_name_once_its_results_are_lost(engine: Engine) -> None:
    run = await engine.launch(2, chunk_size=1)
    await run.result()
    del engine.store.results[run.id, 1]
    assert (await run.retry([1])).accepted == [1]
    await run.result()
    assert engine.store.results[run.id, 1].failure is None
    assert run.probe.calls == {"0": 1, "1": 2}


async def _completed(run: Run, name: str) -> None:
    """Wait until the parent of a child or partition has said that it knows of its completion."""

    async def is_known() -> bool:
        return any(event.workflow_id == name for event in run.events(EventKind.CLOSED))

    await until(is_known, f"{name} has completed")


async def test_a_child_that_its_open_root_knows_as_completed_runs_again_once_its_results_are_lost(
    engine: Engine,
) -> None:
    probe = Probe()
    probe.hold_once = {"1"}
    run = await engine.launch(2, probe)
    await _completed(run, child_id(run.id, 0, None))
    assert (await run.retry([0])).refused == {0: "already completed"}
    del engine.store.results[run.id, 0]
    assert (await run.retry([0], lost=[0])).accepted == [0]
    await run.calls(3)
    probe.released.set()
    assert (await run.result()).counts.completed == 2
    assert engine.store.results[run.id, 0].failure is None
    assert probe.calls == {"0": 2, "1": 1}


@pytest.mark.usefixtures("small_partitions")
async def test_so_does_one_below_a_partition_that_has_closed(engine: Engine) -> None:
    probe = Probe()
    probe.hold_once = {"4"}
    run = await engine.launch(8, probe, window=1)
    await _completed(run, partition_id(run.id, 0))
    await run.calls(5)
    assert (await run.retry([1])).refused == {1: "already completed"}
    del engine.store.results[run.id, 1]
    assert (await run.retry([1], lost=[1])).accepted == [1]
    probe.released.set()
    assert (await run.result()).counts.completed == 8
    assert engine.store.results[run.id, 1].failure is None
    assert probe.calls == {str(index): 2 if index == 1 else 1 for index in range(8)}
