"""Items that end their worker: what is begun after a loss is noted, counted by item, and limited."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from orchestration.activities.begun_notes import ENDED_WORKER, MAX_ENDS
from orchestration.activities.begun_steps import noted_step
from orchestration.activities.parents import ParentActivities
from orchestration.contracts.chunks import BegunItems, ChunkInput, ChunkResult, ChunkWork, InlineChunk, ItemInput
from orchestration.contracts.flows import StepInput
from orchestration.plan.plan import Plan
from orchestration.temporal.task_clock import HostClock, TaskClock
from tests.support.memory_store import MemoryStore
from tests.support.probe import Probe
from tests.support.waiting import until

CHUNK = ChunkInput("batch", 0, 0, 6, "canopy", timedelta(hours=1), run_id="run")


class Process:
    """A worker process, as far as activities go."""

    def __init__(self, **plan: object) -> None:
        self.store, self.probe = MemoryStore(), Probe()
        self.store.batches["batch"] = (Plan.model_validate({"item_attempts": 1, **plan}), self.probe.name)
        self.activities = ParentActivities(self.store)

    def lose(self, *items: int, times: int = 1) -> None:
        """Leave the notes of processes that were lost with these items."""
        for _ in range(times):
            token = str(len(self.store.begun))
            self.store.note_begun(BegunItems("batch", "run", token, list(items)))

    async def process(self, attempt: int = 1, chunk: ChunkInput = CHUNK) -> ChunkResult:
        return await _attempt(attempt).run(self.activities.process_chunk, chunk)

    async def process_item(self, index: int, attempt: int = 1) -> ChunkResult:
        return await _attempt(attempt).run(self.activities.process_item, ItemInput(CHUNK, index, 3))

    def failures(self) -> dict[int, str]:
        """Return the types of failures by item."""
        results = self.store.results.values()
        return {result.index: result.failure.type for result in results if result.failure is not None}


def _attempt(number: int) -> ActivityEnvironment:
    made = ActivityEnvironment()
    made.info = replace(made.info, attempt=number)
    return made


@pytest.fixture
def process() -> Process:
    """Return a process whose chunk has two items at work at a time."""
    return Process(item_concurrency=2)


async def test_an_item_that_ended_three_workers_has_failed_and_its_neighbours_go_on(process: Process) -> None:
    process.lose(3, times=MAX_ENDS)
    result = await process.process(attempt=5)
    assert (result.completed, result.failed) == (5, 1)
    assert process.failures() == {3: ENDED_WORKER}
    assert "ended its worker 3 times" in process.store.results["batch", 3].failure.message  # type: ignore[union-attr]
    assert process.probe.calls == {str(index): 1 for index in (0, 1, 2, 4, 5)}


async def test_a_first_attempt_notes_nothing(process: Process) -> None:
    assert (await process.process()).completed == 6
    assert not process.store.begun


async def test_after_a_loss_what_is_begun_is_noted_before_it_runs(process: Process) -> None:
    process.probe.gate.clear()
    running = asyncio.create_task(process.process(attempt=2))
    await _calls(process, 2)
    assert {note[3] for note in process.store.begun} >= {0, 1}
    process.probe.gate.set()
    await running


async def test_suspects_run_last_and_one_at_a_time(process: Process) -> None:
    process.lose(0, 1)
    process.probe.hold = {"0"}
    running = asyncio.create_task(process.process(attempt=3))
    await _calls(process, 5)
    assert process.probe.calls == {str(index): 1 for index in (0, 2, 3, 4, 5)}, "1 waits for 0"
    assert sum(note[3] == 1 for note in process.store.begun) == 1, "and is not counted meanwhile"
    running.cancel()
    await asyncio.wait({running})


async def test_items_of_a_worker_that_is_stopped_are_not_counted(process: Process) -> None:
    process.probe.hold = {"1"}
    running = asyncio.create_task(process.process(attempt=2))
    await _calls(process, 6)
    running.cancel()
    await asyncio.wait({running})
    assert 1 not in {note[3] for note in process.store.begun}


async def test_a_chunk_that_was_lost_in_its_workflow_task_is_not_begun_there_again(process: Process) -> None:
    lost = replace(CHUNK, after_loss=True)
    assert await _attempt(1).run(process.activities.begin_chunk, lost) == InlineChunk()
    process.lose(2, times=MAX_ENDS)
    assert (await process.process(chunk=lost)).failed == 1


async def test_an_item_with_an_activity_of_its_own_is_counted_alike(process: Process) -> None:
    process.lose(2, times=MAX_ENDS)
    assert (await process.process_item(2, attempt=2)).failed == 1
    assert (await process.process_item(1, attempt=2)).completed == 1
    assert process.probe.calls == {"1": 1}


async def test_an_attempt_that_fails_by_itself_is_not_counted(process: Process) -> None:
    process.probe.fail = {"1"}
    with pytest.raises(Exception, match="told to fail"):
        await process.process_item(1, attempt=2)
    assert not process.store.begun


async def test_nothing_runs_before_the_note_that_it_shares_is_written(process: Process) -> None:
    notes, may_write = list[list[int]](), threading.Event()

    def note_begun(begun: BegunItems) -> list[int]:
        notes.append(begun.indices)
        assert may_write.wait(60)
        return [0] * len(begun.indices)

    process.store.note_begun = note_begun  # type: ignore[method-assign]
    running = asyncio.create_task(process.process(attempt=2))

    async def is_noting() -> bool:
        return bool(notes)

    await until(is_noting, "a note is being written")
    for _ in range(20):  # the other coroutine takes its item
        await asyncio.sleep(0)
    called = dict(process.probe.calls)
    may_write.set()
    assert (await running).completed == 6
    assert called == {}
    assert notes == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize("is_alone", [False, True])
async def test_the_time_that_a_slow_store_takes_is_not_missing_from_the_times_of_items(
    process: Process, monkeypatch: pytest.MonkeyPatch, is_alone: bool
) -> None:
    monkeypatch.setattr(TaskClock, "host", HostClock())
    slow, read = timedelta(seconds=0.3), process.store.read_chunk

    def read_slowly(chunk: ChunkInput, run_id: str) -> ChunkWork:
        time.sleep(slow.total_seconds())
        return read(chunk, run_id)

    monkeypatch.setattr(process.store, "read_chunk", read_slowly)
    attempt, started = _attempt(1), datetime.now(UTC) - timedelta(hours=1)
    attempt.info = replace(attempt.info, started_time=started)
    if is_alone:
        await attempt.run(process.activities.process_item, ItemInput(CHUNK, 0, 3))
    else:
        await attempt.run(process.activities.process_chunk, CHUNK)
    assert process.store.results["batch", 0].finished_at >= started + slow  # type: ignore[operator]


async def _calls(process: Process, number: int) -> None:
    async def called() -> bool:
        return sum(process.probe.calls.values()) >= number

    await until(called, f"{number} calls")


async def _lose_with_step(store: MemoryStore) -> None:
    """Begin a step in a process of its own, which never comes back."""

    async def note(begun: BegunItems) -> list[int]:
        return store.note_begun(begun)

    async def forget(begun: BegunItems) -> None:
        store.forget_begun(begun)

    await noted_step("batch", "run step", asyncio.Lock(), note=note, forget=forget).__aenter__()


async def test_a_step_that_has_ended_its_worker_three_times_is_not_begun_again() -> None:
    store = MemoryStore()
    for _ in range(MAX_ENDS):
        await _lose_with_step(store)
    with pytest.raises(ApplicationError, match="It ended its worker 3 times") as ended:
        await _lose_with_step(store)
    assert (ended.value.type, ended.value.non_retryable) == (ENDED_WORKER, True)


async def test_a_step_that_raises_or_succeeds_after_a_loss_has_ended_no_worker(process: Process) -> None:
    step = StepInput("batch", "step", "probe", {"probe": process.probe.name}, {}, after_loss=True)
    run_step = next(each for each in process.activities.all if each.__name__ == "run_step")
    process.probe.fail = {"step"}
    for _ in range(MAX_ENDS + 1):
        with pytest.raises(ApplicationError, match="was told to fail"):
            await _attempt(1).run(run_step, step)
    process.probe.fail = set()
    assert (await _attempt(2).run(run_step, step))["calls"] == MAX_ENDS + 2
    assert not process.store.begun
