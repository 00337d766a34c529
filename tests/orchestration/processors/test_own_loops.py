"""Event loops of async processors: one that blocks is found, named and set aside, and costs its processor alone."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from orchestration.processors import own_loops, registry
from orchestration.processors.own_loops import ProcessorLoops
from orchestration.processors.registry import ItemContext, processor
from orchestration.testing import process_items, run_items
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep what these tests register out of the catalogue, and have the watchdog look often.

    Tasks that are left behind with an error are collected here: asyncio then formats their stacks, and in the middle of
    another test's `ast.parse` that is a SystemError in Python 3.11.
    """
    monkeypatch.setattr(registry, "_processors", dict(registry.registered()))
    monkeypatch.setattr(own_loops, "BLOCKED_AFTER", 0.3)
    monkeypatch.setattr(own_loops, "CHECK_PERIOD", 0.05)
    yield
    gc.collect()


def _lines(number: int) -> list[dict[str, str]]:
    return [{"value": str(each)} for each in range(number)]


def _spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def _sleep_until(is_over: threading.Event) -> None:
    while not is_over.is_set():
        time.sleep(0.05)


def _compute_until(is_over: threading.Event) -> None:
    while not is_over.is_set():
        pass


@pytest.fixture
def is_over() -> Iterator[threading.Event]:
    """Return an event that is set once the test is over: whoever waits for what blocks until then never ends."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("block", [_sleep_until, _compute_until], ids=["sleeps", "computes"])
async def test_an_item_that_blocks_its_loop_times_out_and_says_where(
    block: Callable[[threading.Event], None], is_over: threading.Event
) -> None:
    @processor
    async def blocks(item: str) -> str:
        block(is_over)
        return "late"

    @processor
    async def awaits(item: str) -> str:
        await asyncio.sleep(0.05)
        return "done"

    blocked, done = await asyncio.gather(
        process_items(blocks, _lines(1), item_attempts=1, item_timeout=4),
        process_items(awaits, _lines(20), item_attempts=1, item_timeout=30, item_concurrency=1),
    )
    assert blocked[0].error_type == "Timeout"
    assert blocked[0].error.startswith("No result within 4 s. It blocked its event loop at test_own_loops.py:")
    assert [each.result for each in done] == ["done"] * 20


async def test_a_blocked_loop_is_counted_as_a_stuck_thread(is_over: threading.Event) -> None:
    loops = ProcessorLoops()

    async def block() -> None:
        _sleep_until(is_over)

    async def number(expected: int) -> bool:
        return loops.stuck().get("blocks", 0) == expected

    blocked = asyncio.create_task(loops.run("blocks", __file__, block, []))
    await until(lambda: number(1), "it is counted")
    is_over.set()
    await blocked
    await until(lambda: number(0), "it is not counted any more")


async def test_an_item_whose_own_task_blocks_is_told_that_it_was_itself(is_over: threading.Event) -> None:
    async def block() -> None:
        _sleep_until(is_over)

    @processor
    async def starts_a_task(item: str) -> str:
        await asyncio.create_task(block())
        return "late"

    (outcome,) = await process_items(starts_a_task, _lines(1), item_attempts=1, item_timeout=3)
    assert outcome.error.startswith("No result within 3 s. It blocked its event loop at test_own_loops.py:")


async def test_items_that_a_blocked_loop_had_not_begun_run_in_another_one(is_over: threading.Event) -> None:
    @processor
    async def sometimes(item: str) -> str:
        if item == "0":
            _compute_until(is_over)
        return "done"

    first, *others = await process_items(sometimes, _lines(5), item_attempts=1, item_timeout=5)
    assert first.error_type == "Timeout"
    assert [each.result for each in others] == ["done"] * 4


def test_a_result_after_the_timeout_is_a_timeout_also_in_the_loop_of_the_worker() -> None:
    @processor(own_loop=False)
    async def blocks(item: str) -> str:
        _spin(0.5)
        return "late"

    (outcome,) = run_items(blocks, _lines(1), item_attempts=1, item_timeout=0.1)
    assert (outcome.error_type, outcome.result) == ("Timeout", None)


def test_a_task_that_is_left_behind_and_exits_ends_nothing() -> None:
    async def exits() -> None:
        sys.exit(3)

    @processor
    async def leaves_a_task(item: str) -> str:
        left = asyncio.create_task(exits())
        await asyncio.sleep(0.05)
        return f"done {left.done()}"

    outcomes = run_items(leaves_a_task, _lines(3), item_concurrency=1, item_attempts=1)
    assert [each.result for each in outcomes] == ["done True"] * 3


def test_a_canceled_item_has_cleaned_up_before_its_next_attempt() -> None:
    seen = list[str]()

    @processor
    async def cleans_up(item: str, context: ItemContext) -> str:
        seen.append(f"begins {context.attempt}")
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.1)
            seen.append(f"ends {context.attempt}")
        return "late"

    run_items(cleans_up, _lines(1), item_attempts=2, item_timeout=1)
    assert seen == ["begins 1", "ends 1", "begins 2", "ends 2"]


def test_a_setup_its_items_and_their_compensation_share_a_loop() -> None:
    loops = set[Any]()

    @asynccontextmanager
    async def setup() -> AsyncIterator[str]:
        loops.add(asyncio.get_running_loop())
        yield "pool"
        loops.add(asyncio.get_running_loop())

    @processor(setup=setup)
    async def uses(item: str, context: ItemContext) -> str:
        loops.add(asyncio.get_running_loop())
        assert threading.current_thread() is not threading.main_thread()
        return str(context.resource)

    assert [each.result for each in run_items(uses, _lines(3))] == ["pool"] * 3
    assert len(loops) == 1


def test_a_setup_that_exits_fails_its_items() -> None:
    @asynccontextmanager
    async def setup() -> AsyncIterator[str]:
        sys.exit("no licence")
        yield ""

    @processor(setup=setup)
    async def uses(item: str, context: ItemContext) -> str:
        return "done"

    (outcome,) = run_items(uses, _lines(1), item_attempts=1)
    assert (outcome.error_type, outcome.error) == ("SystemExit", "no licence")


async def test_waiting_stops_the_clock_from_the_loop_of_the_processor_too() -> None:
    @processor
    async def waits(item: str, context: ItemContext) -> str:
        with context.waiting():
            await asyncio.sleep(3.2)
        return "done"

    @processor
    def waits_in_a_thread(item: str, context: ItemContext) -> str:
        with context.waiting():
            time.sleep(3.2)
        return "done"

    both = [process_items(each, _lines(1), item_attempts=1, item_timeout=3) for each in (waits, waits_in_a_thread)]
    for (outcome,) in await asyncio.gather(*both):
        assert outcome.result == "done"
