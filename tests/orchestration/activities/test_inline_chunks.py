"""Inline chunks: a short one needs no activity, a longer one continues in process_chunk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import ActivityEnvironment

from orchestration.activities import chunks, inline_chunks
from orchestration.activities.inline_chunks import MAX_SKIPPED, InlineBackoff
from orchestration.activities.parents import ParentActivities
from orchestration.contracts.chunks import ChunkInput, ChunkResult, ChunkWork, InlineChunk
from orchestration.contracts.events import EventKind
from orchestration.plan.plan import Plan
from tests.support.engine import Engine, scheduled_activities
from tests.support.memory_store import MemoryStore
from tests.support.probe import Probe
from tests.support.waiting import until


@pytest.fixture
def short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the inline limit short, and long enough for a first item to begin."""
    monkeypatch.setattr(inline_chunks, "INLINE_LIMIT", 0.5)


async def test_a_chunk_that_is_done_in_a_moment_needs_no_activity(engine: Engine) -> None:
    run = await engine.launch(6, chunk_size=3)
    assert (await run.result()).counts.completed == 2
    assert await scheduled_activities(run, 0) == await scheduled_activities(run, 1) == 0
    assert set(run.probe.calls.values()) == {1}


@pytest.mark.usefixtures("short_limit")
async def test_a_chunk_that_takes_longer_goes_on_in_an_activity_and_no_item_runs_twice(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(6, probe, chunk_size=6, item_concurrency=2)

    async def is_claimed() -> bool:
        return await scheduled_activities(run, 0) == 1

    await run.calls(2)
    await until(is_claimed, "an activity goes on with the chunk")
    probe.gate.set()
    assert (await run.result()).counts.completed == 1
    assert [probe.calls[str(index)] for index in range(6)] == [1] * 6


@pytest.mark.usefixtures("short_limit")
async def test_cancel_reaches_a_chunk_that_was_started_inline_and_claimed(engine: Engine) -> None:
    probe = Probe()
    probe.hold = {"1"}
    run = await engine.launch(2, probe, chunk_size=2)
    await run.calls(2)
    await run.root.cancel()
    with pytest.raises(WorkflowFailureError):
        await run.result()
    assert probe.running == 0
    assert engine.store.results[run.id, 0].failure is None, "what was done is kept"


@dataclass
class Process:
    """A worker process, as far as activities go, over a store that it shares."""

    activities: ParentActivities
    chunk: ChunkInput

    @classmethod
    def over(cls, store: MemoryStore, probe: Probe) -> Process:
        store.batches["batch"] = (Plan(item_attempts=1, item_concurrency=1), probe.name)
        return cls(ParentActivities(store), ChunkInput("batch", 0, 0, 2, "canopy", timedelta(hours=1), run_id="run"))

    async def begin(self) -> InlineChunk:
        return await ActivityEnvironment().run(self.activities.begin_chunk, self.chunk)

    async def resume(self, begun: InlineChunk, attempt: int = 1) -> ChunkResult:
        chunk, made = replace(self.chunk, begun_before=begun.before), ActivityEnvironment()
        made.info = replace(made.info, attempt=attempt)
        return await made.run(self.activities.process_chunk, chunk)


@pytest.mark.usefixtures("short_limit")
async def test_another_process_lets_the_first_finish_what_it_has_taken_and_does_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, probe = MemoryStore(), Probe()
    first, second = Process.over(store, probe), Process.over(store, probe)
    probe.gate.clear()
    begun = await first.begin()
    assert (begun.before, probe.running) == (1, 1)
    looks, look = 0, store.read_chunk

    def counted(work: ChunkInput, run_id: str) -> ChunkWork:
        nonlocal looks
        looks += 1
        return look(work, run_id)

    async def has_looked_again() -> bool:
        return looks > 1

    monkeypatch.setattr(store, "read_chunk", counted)
    other = asyncio.create_task(second.resume(begun))
    await until(has_looked_again, "it waits for the first")
    probe.gate.set()
    assert (await other).completed == 2
    assert probe.calls == {"0": 1, "1": 1}
    for process in (first, second):
        process.activities.close()


@pytest.mark.usefixtures("short_limit")
async def test_what_a_lost_process_had_taken_is_done_again_when_it_can_no_longer_be_at_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Plan, "chunk_timeout", lambda plan, length: timedelta(seconds=length))
    store, probe = MemoryStore(), Probe()
    first, second = Process.over(store, probe), Process.over(store, probe)
    probe.gate.clear()
    begun = await first.begin()
    first.activities.close()
    probe.gate.set()
    assert (await second.resume(begun)).completed == 2
    assert probe.calls == {"0": 2, "1": 1}
    second.activities.close()


@pytest.mark.usefixtures("short_limit")
async def test_a_chunk_that_no_activity_claims_finishes_its_items_and_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inline_chunks, "CLAIM_TIMEOUT", 0.1)
    store, probe = MemoryStore(), Probe()
    process = Process.over(store, probe)
    probe.gate.clear()
    left = await process.begin()
    inline = process.activities._inline
    timer = inline._timers["run"]

    async def may_be_claimed_longer() -> bool:
        return inline._timers["run"] is not timer

    async def is_left() -> bool:
        return not inline.unclaimed

    await until(may_be_claimed_longer, "an item is at work beyond the time to claim it")
    probe.gate.set()
    await until(is_left, "nobody claims it")
    assert probe.calls == {"0": 1}
    assert (await process.resume(left)).completed == 2
    assert probe.calls == {"0": 1, "1": 1}
    process.activities.close()


async def test_another_attempt_in_the_same_process_claims_what_is_still_at_work() -> None:
    store, probe = MemoryStore(), Probe()
    process = Process.over(store, probe)
    probe.gate.clear()
    first = asyncio.create_task(process.resume(InlineChunk()))
    await until(_calls(probe, 1), "the first attempt is at work")
    second = asyncio.create_task(process.resume(InlineChunk(), attempt=2))
    holder = process.activities._inline._attempts["run"]

    async def is_claimed() -> bool:
        return process.activities._inline._attempts["run"] is not holder

    await until(is_claimed, "the second attempt awaits it instead")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    probe.gate.set()
    assert (await second).completed == 2
    assert probe.calls == {"0": 1, "1": 1}
    process.activities.close()


@pytest.mark.parametrize("is_given_up", [True, False])
async def test_an_attempt_that_temporal_has_lost_sight_of_leaves_its_chunk_to_the_next(
    monkeypatch: pytest.MonkeyPatch, is_given_up: bool
) -> None:
    async def answer() -> bool:
        return is_given_up

    monkeypatch.setattr(chunks, "is_given_up", answer)
    store, probe = MemoryStore(), Probe()
    process = Process.over(store, probe)
    probe.gate.clear()
    first = asyncio.create_task(process.resume(InlineChunk()))
    await until(_calls(probe, 1), "the first attempt is at work")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert probe.running == is_given_up
    probe.gate.set()
    assert (await process.resume(InlineChunk(), attempt=2)).completed == 2
    assert probe.calls == {"0": 1 if is_given_up else 2, "1": 1}
    process.activities.close()


def _calls(probe: Probe, number: int) -> Callable[[], Awaitable[bool]]:
    async def called() -> bool:
        return sum(probe.calls.values()) == number

    return called


async def test_where_a_chunk_cannot_start_inline_an_activity_reports_why(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(work: ChunkInput, run_id: str) -> ChunkWork:
        raise LookupError("There is no such slice.")

    monkeypatch.setattr(engine.store, "read_chunk", refuse)
    run = await engine.launch(1)
    assert (await run.result()).counts.failed == 1
    assert await scheduled_activities(run, 0) == 1
    await run.closed_event()
    reason = run.events(EventKind.CLOSED)[0].failure
    assert reason is not None
    assert (reason.type, reason.message) == ("NothingToProcess", "There is no such slice.")


def test_a_batch_of_long_chunks_is_passed_over_ever_longer_and_tried_again() -> None:
    backoff = InlineBackoff()
    passed = []
    for _ in range(9):
        backoff.record("long", is_short=False)
        passed.append(0)
        while not backoff.may_try("long"):
            passed[-1] += 1
    assert passed == [1, 2, 4, 8, 16, 32, MAX_SKIPPED, MAX_SKIPPED, MAX_SKIPPED]
    assert backoff.may_try("another")
    backoff.record("long", is_short=True)
    backoff.record("long", is_short=False)
    assert (backoff.may_try("long"), backoff.may_try("long")) == (False, True)
