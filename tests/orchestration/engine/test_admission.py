"""Admission: groups of children (A3), and the circuit breaker (A9)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from orchestration.contracts.events import EventKind
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id
from tests.support.engine import Engine, Run, failed
from tests.support.parents import failing, progress, times
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_group_has_closed_before_the_next_starts_and_there_is_a_pause_between(engine: Engine) -> None:
    run = await engine.launch(7, group_size=3, group_delay=1)
    await run.result()
    await run.closed_event()
    started, closed = times(run, EventKind.STARTED), times(run, EventKind.CLOSED)
    groups = [range(3), range(3, 6), range(6, 7)]
    names = [[child_id(run.id, child, None) for child in group] for group in groups]
    for before, after in pairwise(names):
        last, first = max(closed[name] for name in before), min(started[name] for name in after)
        assert first - last >= timedelta(seconds=1)


async def test_partitions_hold_whole_groups_and_run_one_at_a_time(engine: Engine, small_partitions: None) -> None:
    run = await engine.launch(12, group_size=3)
    running = asyncio.create_task(run.result())
    seen = list[int]()

    async def is_done() -> bool:
        if not running.done():
            seen.append((await progress(run)).running)
        return running.done()

    await until(is_done, "the batch is done")
    assert (await running).counts.completed == 12
    assert max(seen) == 1
    started, closed = times(run, EventKind.STARTED), times(run, EventKind.CLOSED)
    first = [child_id(run.id, child, 0) for child in range(3)]
    second = [child_id(run.id, child, 1) for child in range(3, 6)]
    assert max(closed[name] for name in first) <= min(started[name] for name in second)


def kinds(run: Run) -> list[EventKind]:
    return [event.kind for event in run.events() if event.kind.value.startswith("breaker")]


async def test_a_breaker_opens_probes_and_closes_again(engine: Engine) -> None:
    probe = failing(2, 3, 4)
    run = await engine.launch(8, probe, window=1, breaker_failures=2, breaker_cooldown=1)
    result = await run.result()
    assert failed(Status.FAILED, result) == [2, 3, 4]
    await run.closed_event()
    assert kinds(run) == [
        EventKind.BREAKER_OPENED,
        EventKind.BREAKER_HALF_OPEN,
        EventKind.BREAKER_OPENED,
        EventKind.BREAKER_HALF_OPEN,
        EventKind.BREAKER_CLOSED,
    ]
    started, closed = times(run, EventKind.STARTED), times(run, EventKind.CLOSED)
    assert started[child_id(run.id, 4, None)] - closed[child_id(run.id, 3, None)] >= timedelta(seconds=1)


async def test_while_a_breaker_is_open_children_are_skipped_with_that_reason(engine: Engine) -> None:
    run = await engine.launch(6, failing(0, 1), window=1, breaker_failures=2, breaker_cooldown=60, breaker_open="skip")
    result = await run.result()
    assert failed(Status.SKIPPED, result) == [2, 3, 4, 5]
    await run.closed_event()
    skipped = run.events(EventKind.SKIPPED)
    assert {event.workflow_id for event in skipped} == {child_id(run.id, child, None) for child in range(2, 6)}
    assert all(event.failure and event.failure.type == "CircuitOpen" for event in skipped)
