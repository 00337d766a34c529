"""A batch that is held for the operator (A10), or waits for approval (C6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestration.contracts.events import EventKind
from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.status import Status
from tests.support.engine import Engine, failed
from tests.support.parents import failing, failure_of, first_event, held
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_batch_held_at_its_end_goes_on_when_what_failed_is_retried(engine: Engine) -> None:
    probe = failing(1)
    run = await engine.launch(3, probe, hold_at_end=True)
    seen = await held(run)
    assert "1 of 3" in seen.held
    assert seen.held_until is not None
    probe.fail.clear()
    assert (await run.retry([1])).accepted == [1]
    assert (await run.result()).counts.completed == 3


async def test_skip_lets_a_held_batch_end_without_what_failed(engine: Engine) -> None:
    run = await engine.launch(3, failing(1), hold_at_end=True)
    await held(run)
    await engine.gateway.skip(run.id)
    result = await run.result()
    assert failed(Status.SKIPPED, result) == [1]
    assert result.counts.failed == 0


async def test_finish_ends_a_batch_held_above_its_limit_and_skips_the_rest(engine: Engine) -> None:
    plan = {"failure_policy": "tolerate", "tolerated_failures": 1, "on_threshold": "hold", "window": 1}
    run = await engine.launch(6, failing(0, 1), **plan)
    await held(run)
    await engine.gateway.finish(run.id)
    result = await run.result()
    assert (result.counts.failed, result.counts.skipped) == (2, 4)


async def test_a_batch_held_above_its_limit_goes_on_after_a_retry(engine: Engine) -> None:
    probe = failing(0, 1)
    plan = {"failure_policy": "tolerate", "tolerated_failures": 1, "on_threshold": "hold", "window": 1}
    run = await engine.launch(6, probe, **plan)
    assert "2 of 6" in (await held(run)).held
    probe.fail.clear()
    await run.retry([0, 1])
    assert (await run.result()).counts.completed == 6


async def test_nobody_decides_and_the_batch_finishes_by_itself(engine: Engine) -> None:
    run = await engine.launch(3, failing(1), hold_at_end=True, hold_timeout=1)
    assert failed(Status.FAILED, await run.result()) == [1]
    await run.closed_event()
    assert [event.note for event in run.events(EventKind.RELEASED)] == ["No decision was made in time."]


@pytest.mark.parametrize("approved", [True, False])
async def test_nothing_starts_before_a_person_approves(engine: Engine, approved: bool) -> None:
    run = await engine.launch(3, approval=True)
    opened = await first_event(run, EventKind.GATE_OPENED)
    assert opened.until is not None
    assert not run.probe.calls
    await engine.gateway.decide(run.id, approved=approved, person="ada")
    if approved:
        assert (await run.result()).counts.completed == 3
    else:
        assert (await failure_of(run)).type == "Refused"
        assert not run.probe.calls
    await run.closed_event()
    verdict = "Approved" if approved else "Rejected"
    assert [event.note for event in run.events(EventKind.GATE_DECIDED)] == [f"{verdict} by ada."]


async def test_an_approval_that_nobody_gives_counts_as_refused(engine: Engine) -> None:
    run = await engine.launch(3, approval=True, approval_timeout=1)
    assert (await failure_of(run)).message == "Nobody approved in time."


async def test_a_retry_of_a_batch_that_was_refused_asks_again(engine: Engine) -> None:
    run = await engine.launch(2, approval=True)
    await first_event(run, EventKind.GATE_OPENED)
    await engine.gateway.decide(run.id, approved=False, person="ada")
    await failure_of(run)
    assert isinstance(run.given, FanOutInput)
    run.given = replace(run.given, approved=False)
    assert (await run.retry([0])).accepted == [0]

    async def asks_again() -> bool:
        return len(run.events(EventKind.GATE_OPENED)) == 2

    await until(asks_again, "the retry asks for approval")
    assert not run.probe.calls
    await engine.gateway.decide(run.id, approved=True, person="ada")
    assert (await run.result()).counts.completed == 1
