"""Threads of plain functions: waiting for one is no work, and a function that hangs costs its own processor alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from orchestration.processors import registry, threads
from orchestration.processors.registry import processor
from orchestration.processors.threads import ProcessorThreads
from orchestration.testing import process_items, run_items
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what these tests register out of the catalogue."""
    monkeypatch.setattr(registry, "_processors", dict(registry.registered()))


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """What hanging functions wait for; set in the end, so that their threads come back."""
    event = threading.Event()
    yield event
    event.set()


def _lines(number: int) -> list[dict[str, str]]:
    return [{"value": str(each)} for each in range(number)]


def test_as_many_run_at_once_as_the_plan_says() -> None:
    together = threading.Barrier(20)

    @processor
    def meets(item: str) -> str:
        together.wait(timeout=60)
        return item

    outcomes = run_items(meets, _lines(20), item_concurrency=20, item_attempts=1)
    assert [each.result for each in outcomes] == [str(each) for each in range(20)]


def test_waiting_for_a_thread_does_not_count_against_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MAX_THREADS", 1)
    monkeypatch.setattr(threads, "RESERVED", 1)

    @processor
    def slow(item: str) -> str:
        time.sleep(0.4)
        return "done"

    outcomes = run_items(slow, _lines(6), item_concurrency=6, item_attempts=1, item_timeout=2)
    assert [each.result for each in outcomes] == ["done"] * 6


async def test_a_function_that_hangs_costs_its_own_processor_alone(
    monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    monkeypatch.setattr(threads, "MAX_THREADS", 4)
    monkeypatch.setattr(threads, "RESERVED", 1)
    monkeypatch.setattr(threads, "MAX_WRITTEN_OFF", 8)

    @processor
    def hangs(item: str) -> str:
        release.wait()
        return "late"

    @processor
    def works(item: str) -> str:
        return "done"

    plan: dict[str, Any] = {"item_concurrency": 20, "item_attempts": 1}
    hung, done = await asyncio.gather(
        process_items(hangs, _lines(20), **plan, item_timeout=0.3),
        process_items(works, _lines(20), **plan, item_timeout=60),
    )
    assert [each.result for each in done] == ["done"] * 20
    errors = [each.error for each in hung]
    assert errors.count("No result within 0.3 s.") >= 8
    others = [each for each in errors if each != "No result within 0.3 s."]
    assert others
    assert all("calls of hangs have timed out and still run in their threads" in each for each in others)


async def test_threads_that_are_stuck_are_counted_until_they_come_back(release: threading.Event) -> None:
    calls = ProcessorThreads()
    for seconds in (0.2, 0.2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(calls.run("waits", release.wait, nullcontext), seconds)
    assert calls.stuck() == {"waits": 2}
    release.set()
    await until(lambda: _is_empty(calls), "both have come back")


async def _is_empty(calls: ProcessorThreads) -> bool:
    return calls.stuck() == {}


async def test_one_processor_cannot_have_all_threads(monkeypatch: pytest.MonkeyPatch, release: threading.Event) -> None:
    monkeypatch.setattr(threads, "MAX_THREADS", 6)
    monkeypatch.setattr(threads, "MAX_OF_ONE", 4)
    monkeypatch.setattr(threads, "RESERVED", 1)
    calls = ProcessorThreads()
    waiting = [asyncio.create_task(calls.run("many", release.wait, nullcontext)) for _ in range(9)]
    assert [await calls.run("others", lambda: 1, nullcontext) for _ in range(3)] == [1, 1, 1]
    assert calls._lanes["many"].busy == 4
    release.set()
    await asyncio.gather(*waiting)
