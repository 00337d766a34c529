"""Skip: a batch goes on without children that are pending or have failed, wherever they stand."""

from __future__ import annotations

import pytest

from orchestration.contracts.events import EventKind
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id, partition_id
from tests.support.engine import Engine, Run, failed
from tests.support.probe import Probe
from tests.support.waiting import until


def told_skipped(run: Run) -> set[str]:
    return {event.workflow_id for event in run.events(EventKind.SKIPPED)}


async def test_a_pending_child_is_not_started_and_a_failed_one_counts_as_skipped(engine: Engine) -> None:
    probe = Probe()
    probe.fail, probe.hold_once = {"0"}, {"1"}
    run = await engine.launch(5, probe, window=1)
    await run.calls(2)
    answer = await run.skip([0, 1, 3, 4])
    assert answer.accepted == [0, 3, 4]
    assert answer.refused == {1: "already running"}
    assert (await run.skip([3])).refused == {3: "already skipped"}
    probe.released.set()
    result = await run.result()
    assert (result.counts.completed, failed(Status.SKIPPED, result)) == (2, [0, 3, 4])
    assert dict(probe.calls) == {"0": 1, "1": 1, "2": 1}
    assert told_skipped(run) == {child_id(run.id, child, None) for child in (0, 3, 4)}


async def test_a_skipped_child_can_be_retried(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(3, probe, window=1)
    await run.calls(1)
    await run.skip([1, 2])
    assert (await run.retry([2])).accepted == [2]
    probe.gate.set()
    result = await run.result()
    assert (result.counts.completed, failed(Status.SKIPPED, result)) == (2, [1])


async def test_a_batch_that_skips_all_it_has_left_ends(engine: Engine) -> None:
    run = await engine.launch(3, Probe())
    await run.result()
    probe = Probe()
    probe.gate.clear()
    paused = await engine.launch(3, probe, approval=False, window=1)
    await paused.calls(1)
    await engine.gateway.pause(paused.id)
    await paused.skip([1, 2])
    probe.gate.set()
    assert (await paused.result()).counts.skipped == 2


async def test_a_batch_held_for_failures_goes_on_once_they_are_skipped(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1"}
    run = await engine.launch(3, probe, hold_at_end=True)

    async def held() -> bool:
        return bool((await engine.gateway.progress(run.id)).held)

    await until(held, "the batch is held")
    assert (await run.skip([1])).accepted == [1]
    result = await run.result()
    assert (result.counts.completed, result.counts.skipped) == (2, 1)


@pytest.mark.usefixtures("small_partitions")
async def test_partitions_leave_children_out_whether_they_wait_run_or_have_closed(engine: Engine) -> None:
    probe = Probe()
    busy = 9
    probe.fail, probe.hold_once = {"1"}, {str(busy)}
    run = await engine.launch(16, probe, window=1)

    async def first_partition_closed() -> bool:
        seen = await engine.gateway.describe_run(partition_id(run.id, 0))
        return seen is not None and seen.status is Status.COMPLETED

    await until(first_partition_closed, "the first partition has closed")
    await run.calls(busy + 1)
    waiting = [child for child in range(16) if child > busy]
    answer = await run.skip([1, *waiting], open_partitions=[busy // 4])
    assert sorted(answer.accepted) == [1, *waiting]
    probe.released.set()
    result = await run.result()
    assert failed(Status.SKIPPED, result) == [1, *waiting]
    assert result.counts.completed == busy
    assert set(map(int, probe.calls)) == set(range(busy + 1))
    assert told_skipped(run) == {child_id(run.id, child, child // 4) for child in (1, *waiting)}


@pytest.mark.usefixtures("small_partitions")
async def test_what_no_parent_waits_for_is_not_asked_for(engine: Engine) -> None:
    probe = Probe()
    probe.fail = {"1"}
    run = await engine.launch(12, probe)
    await run.result()
    answer = await run.skip([1])
    assert (answer.accepted, answer.refused, answer.unasked) == ([], {}, [1])


@pytest.mark.usefixtures("small_partitions")
@pytest.mark.parametrize("items", [3, 8])
async def test_a_child_whose_results_are_lost_is_left_out_although_it_has_completed(engine: Engine, items: int) -> None:
    probe = Probe()
    last = items - 1
    probe.hold_once = {str(last)}
    run = await engine.launch(items, probe, window=1)

    async def last_is_at_work() -> bool:
        return probe.calls[str(last)] == 1

    await until(last_is_at_work, "all others are done")
    is_flat = items == 3
    assert (await run.skip([0, 1])).refused == dict.fromkeys([0, 1], "already completed")
    assert (await run.skip([0, 1], lost=[1])).refused == {0: "already completed"}
    assert (await run.skip([1], lost=[1])).refused == {1: "already skipped"}
    probe.released.set()
    result = await run.result()
    assert (result.counts.completed, result.counts.skipped) == (items - 1, 1)
    assert result.unfinished[Status.SKIPPED] == [1]
    skipped = {event.workflow_id for event in run.events(EventKind.SKIPPED)}
    assert skipped == {child_id(run.id, 1, None if is_flat else 0)}
