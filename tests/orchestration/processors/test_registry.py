"""Registry: valid and rejected processors, and the reproducibility of simulate."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import Any

import pytest
from pydantic import BaseModel

from orchestration.processors import registry
from orchestration.processors.builtin.simulate import SimulatedFailure, SimulateItem, SimulateParameters, SimulateResult
from orchestration.processors.catalogue import UnknownProcessor, get_processor, processors
from orchestration.processors.function_signature import ArgumentType, Signature
from orchestration.processors.processor import ItemContext, Processor
from orchestration.processors.registry import processor
from tests.support.stack import ROOT
from tests.support.waiting import until


async def run(key: str, attempt: int = 1, **parameters: Any) -> Any:
    """Simulate one item."""
    bound = get_processor("simulate").bind({"seconds_from": 0, "seconds_to": 0, **parameters})
    return await bound.run({}, ItemContext(key=key, index=0, attempt=attempt))


def test_the_catalogue_has_the_built_in_processors() -> None:
    assert {"simulate", "http_request"} <= set(processors())
    with pytest.raises(UnknownProcessor):
        get_processor("nope")


def test_the_catalogue_does_not_import_what_only_workers_need() -> None:
    code = "import sys; from orchestration.processors.catalogue import load; load(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "orchestration.processors.builtin.csv_import" in done.stdout.split()
    assert {"sqlalchemy", "bs4"}.isdisjoint(done.stdout.split())


def test_an_untyped_parameter_is_rejected_with_file_and_reason() -> None:
    async def untyped(item, parameters: SimulateParameters, context: ItemContext) -> SimulateResult:  # type: ignore[no-untyped-def]
        return SimulateResult(seconds=0, attempt=1)

    with pytest.raises(TypeError, match=r"test_registry\.py.*item needs a type: a pydantic model"):
        processor(name="untyped", title="", summary="")(untyped)


def test_a_taken_name_is_rejected() -> None:
    async def again(item: SimulateItem, parameters: SimulateParameters, context: ItemContext) -> SimulateResult:
        return SimulateResult(seconds=0, attempt=1)

    with pytest.raises(ValueError, match=r"is taken by .*simulate\.py: simulate"):
        processor(name="simulate", title="", summary="")(again)


async def test_a_plain_function_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_processors", dict(registry._processors))

    def plain(item: SimulateItem, parameters: SimulateParameters, context: ItemContext) -> SimulateResult:
        return SimulateResult(seconds=0, attempt=context.attempt)

    processor(name="plain", title="", summary="")(plain)
    bound = get_processor("plain").bind({})
    assert await bound.run({}, ItemContext("k", 0, 3)) == {"seconds": 0, "attempt": 3, "data": ""}


async def test_simulate_does_the_same_for_the_same_seed_and_key() -> None:
    async def fails(key: str, seed: int) -> bool:
        try:
            await run(key, seed=seed, fail_percent=30)
        except SimulatedFailure:
            return True
        return False

    first = [await fails(str(index), 1) for index in range(400)]
    assert first == [await fails(str(index), 1) for index in range(400)]
    assert first != [await fails(str(index), 2) for index in range(400)]
    assert 80 < sum(first) < 160


async def test_simulate_fails_the_first_attempts() -> None:
    for attempt in (1, 2):
        with pytest.raises(SimulatedFailure):
            await run("k", attempt, fail_first_attempts=2)
    assert (await run("k", 3, fail_first_attempts=2, result_bytes=10))["data"] == "x" * 10


class Plain(BaseModel):
    """A model without fields."""


def last_until_canceled(item: Plain, parameters: Plain, context: ItemContext) -> Plain:
    """Work in a thread until canceled."""
    context.progress(1, 2, "halves")
    while not context.is_canceled:
        time.sleep(0.01)
    context.report("cleaned up")
    return Plain()


async def test_a_plain_function_reports_progress_and_sees_its_cancellation() -> None:
    reports = list[str]()
    bound = Processor(
        "plain", "", "", last_until_canceled, Signature(ArgumentType(Plain), ArgumentType(Plain), Plain)
    ).bind({})
    running = asyncio.create_task(bound.run({}, ItemContext("k", 0, 1, reports.append)))

    async def has_reported(text: str) -> bool:
        return text in reports

    await until(lambda: has_reported("1 of 2 halves"), "it reports progress")
    running.cancel()
    await until(lambda: has_reported("cleaned up"), "it cleans up")
