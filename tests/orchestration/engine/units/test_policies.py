"""What a plan may say beyond the window: groups, a circuit breaker, holding, rolling back, child options, resources."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from orchestration.contracts.events import EventKind, NodeKind
from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.messages import Progress
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id, root_id
from orchestration.workflows.fan_out import FanOutWorkflow
from tests.support.engine import Engine, Probe, Run, failed
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


def told(*fail: int) -> Probe:
    """Return a probe that fails some items."""
    probe = Probe()
    probe.fail = {str(index) for index in fail}
    return probe


async def progress(run: Run) -> Progress:
    return await run.root.query(FanOutWorkflow.progress)


async def held(run: Run) -> Progress:
    """Wait until the batch is held."""

    async def is_held() -> Progress | None:
        seen = await progress(run)
        return seen if seen.held else None

    found = await until(is_held, "the batch is held")
    assert found is not None
    return found


async def failure(run: Run) -> ApplicationError:
    """Return the error that the root ended with."""
    with pytest.raises(WorkflowFailureError) as raised:
        await run.result()
    assert isinstance(raised.value.cause, ApplicationError)
    return raised.value.cause


def times(run: Run, kind: EventKind) -> dict[str, Any]:
    return {event.workflow_id: event.at for event in run.events(kind)}


# Groups of children: A3.


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


# the circuit breaker (A9)


def kinds(run: Run) -> list[EventKind]:
    return [event.kind for event in run.events() if event.kind.value.startswith("breaker")]


async def test_a_breaker_opens_probes_and_closes_again(engine: Engine) -> None:
    probe = told(2, 3, 4)
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
    run = await engine.launch(6, told(0, 1), window=1, breaker_failures=2, breaker_cooldown=60, breaker_open="skip")
    result = await run.result()
    assert failed(Status.SKIPPED, result) == [2, 3, 4, 5]
    await run.closed_event()
    skipped = run.events(EventKind.SKIPPED)
    assert {event.workflow_id for event in skipped} == {child_id(run.id, child, None) for child in range(2, 6)}
    assert all(event.failure and event.failure.type == "CircuitOpen" for event in skipped)


# holding for the operator (A10)


async def test_a_batch_held_at_its_end_goes_on_when_what_failed_is_retried(engine: Engine) -> None:
    probe = told(1)
    run = await engine.launch(3, probe, hold_at_end=True)
    seen = await held(run)
    assert "1 of 3" in seen.held
    assert seen.held_until is not None
    probe.fail.clear()
    assert (await run.retry([1])).accepted == [1]
    assert (await run.result()).counts.completed == 3


async def test_skip_lets_a_held_batch_end_without_what_failed(engine: Engine) -> None:
    run = await engine.launch(3, told(1), hold_at_end=True)
    await held(run)
    await engine.gateway.skip(run.id)
    result = await run.result()
    assert failed(Status.SKIPPED, result) == [1]
    assert result.counts.failed == 0


async def test_finish_ends_a_batch_held_above_its_limit_and_skips_the_rest(engine: Engine) -> None:
    plan = {"failure_policy": "tolerate", "tolerated_failures": 1, "on_threshold": "hold", "window": 1}
    run = await engine.launch(6, told(0, 1), **plan)
    await held(run)
    await engine.gateway.finish(run.id)
    result = await run.result()
    assert (result.counts.failed, result.counts.skipped) == (2, 4)


async def test_a_batch_held_above_its_limit_goes_on_after_a_retry(engine: Engine) -> None:
    probe = told(0, 1)
    plan = {"failure_policy": "tolerate", "tolerated_failures": 1, "on_threshold": "hold", "window": 1}
    run = await engine.launch(6, probe, **plan)
    assert "2 of 6" in (await held(run)).held
    probe.fail.clear()
    await run.retry([0, 1])
    assert (await run.result()).counts.completed == 6


async def test_nobody_decides_and_the_batch_finishes_by_itself(engine: Engine) -> None:
    run = await engine.launch(3, told(1), hold_at_end=True, hold_timeout=1)
    assert failed(Status.FAILED, await run.result()) == [1]
    await run.closed_event()
    assert [event.note for event in run.events(EventKind.RELEASED)] == ["No decision was made in time."]


# rolling back (A7)


async def test_above_the_limit_what_completed_is_rolled_back(engine: Engine) -> None:
    probe = told(3, 4)
    probe.fail_undo = {"1"}
    plan = {"failure_policy": "tolerate", "tolerated_failures": 1, "on_threshold": "roll_back", "window": 1}
    run = await engine.launch(8, probe, **plan)
    error = await failure(run)
    assert error.type == "RolledBack"
    assert "Children rolled back: 2. Failed rollbacks: 1." in error.message
    assert dict(probe.undone) == {"0": 1, "1": 1, "2": 1}
    await run.closed_event()
    places = [event.place for event in run.events(EventKind.STARTED) if event.place]
    assert {place.parent for place in places} == {child_id(run.id, child, None) for child in range(3)}


async def test_a_batch_of_partitions_is_rolled_back_whole(engine: Engine, small_partitions: None) -> None:
    probe = told(17)
    run = await engine.launch(18, probe, failure_policy="fail_fast", on_threshold="roll_back", window=4)
    error = await failure(run)
    completed = {
        index for (batch, index), result in engine.store.results.items() if batch == run.id and not result.failure
    }
    assert error.type == "RolledBack"
    assert {int(key) for key in probe.undone} == completed
    assert "Children rolled back: " in error.message


@pytest.mark.parametrize("items", [3, 18])
async def test_a_batch_that_has_closed_is_rolled_back_when_somebody_asks(
    engine: Engine, small_partitions: None, items: int
) -> None:
    probe = told(1)
    run = await engine.launch(items, probe, failure_policy="tolerate", tolerated_failures=1)
    await run.result()
    await run.closed_event()
    assert isinstance(run.given, FanOutInput)
    completed = [child for child in range(items) if child != 1]
    probe.fail_undo = {"2"}
    await engine.gateway.roll_back(replace(run.given, children=completed, undo=True))
    error = await failure(run)
    assert error.type == "RolledBack"
    assert error.message == f"Children rolled back: {items - 2}. Failed rollbacks: 1."
    assert {int(key) for key in probe.undone} == set(completed)
    assert {event.kind for event in run.events()} >= {EventKind.ROLLING_BACK}
    rolled_back = [event.place for event in run.events(EventKind.STARTED) if event.place is not None]
    assert sum(place.kind is NodeKind.ROLLBACK for place in rolled_back) == items - 1


async def test_of_a_chunk_that_failed_in_part_the_completed_items_are_undone_too(engine: Engine) -> None:
    probe = told(2)
    run = await engine.launch(4, probe, chunk_size=4, failure_policy="fail_fast", on_threshold="roll_back")
    await failure(run)
    assert set(probe.undone) == {"0", "1", "3"}


# child options (A11)


async def test_a_child_that_takes_too_long_is_timed_out_alone(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(2, probe, child_run_timeout=1)
    result = await run.result()
    assert failed(Status.TIMED_OUT, result) == [0, 1]


async def test_a_child_gets_further_runs_by_itself(engine: Engine) -> None:
    probe = told(0)
    run = await engine.launch(2, probe, child_attempts=3, child_backoff=0.1)
    assert failed(Status.FAILED, await run.result()) == [0]
    assert probe.calls["0"] == 3


@pytest.mark.parametrize("plan", [{"item_attempts": 3}, {"item_attempts": 3, "execution": "activities"}])
async def test_a_type_of_error_that_is_ruled_out_is_not_retried_by_item_or_child(
    engine: Engine, plan: dict[str, Any]
) -> None:
    once, thrice = told(0), told(0)
    options = {"item_backoff": 0, "child_backoff": 0.1, **plan}
    run = await engine.launch(1, once, **options, child_attempts=3, non_retryable="KeyError, Probed")
    other = await engine.launch(1, thrice, **options, non_retryable="KeyError")
    assert failed(Status.FAILED, await run.result()) == failed(Status.FAILED, await other.result()) == [0]
    assert (once.calls["0"], thrice.calls["0"]) == (1, 3)


async def test_an_item_has_the_same_idempotency_key_in_every_attempt_and_run_and_no_other_has_it(
    engine: Engine,
) -> None:
    probe = told(0)
    run = await engine.launch(3, probe, item_attempts=2, item_backoff=0)
    await run.result()
    probe.fail.clear()
    await run.retry([0])
    await run.result()
    assert probe.calls["0"] == 3
    assert probe.idempotency == {str(index): {f"{run.id}/{index}"} for index in range(3)}


async def test_forgotten_children_go_on_after_their_parent(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(3, probe, fire_and_forget=True, parent_close="abandon")
    await run.result()
    probe.gate.set()
    for child in range(3):
        handle = engine.client.get_workflow_handle(child_id(run.id, child, None))
        assert (await handle.result())["completed"] == 1


@pytest.mark.parametrize(("policy", "statuses"), [("request_cancel", {3, 4}), ("abandon", {1})])
async def test_when_the_parent_is_terminated_children_end_as_the_plan_says(
    engine: Engine, policy: str, statuses: set[int]
) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(1, probe, parent_close=policy)
    await run.calls(1)
    await engine.gateway.terminate(root_id(run.id), "test")
    handle = engine.client.get_workflow_handle(child_id(run.id, 0, None))
    if policy == "request_cancel":

        async def ended() -> bool:
            return (await handle.describe()).status == 4

        await until(ended, "the child is canceled")
    else:
        assert (await handle.describe()).status == 1
    probe.gate.set()


# what runs the items (B4)


@pytest.mark.parametrize("execution", ["activities", "local_activities", "no_children"])
async def test_items_may_be_activities_with_or_without_a_child(engine: Engine, execution: str) -> None:
    probe = told(5)
    run = await engine.launch(12, probe, chunk_size=4, execution=execution, item_attempts=2, item_backoff=0)
    result = await run.result()
    assert failed(Status.FAILED, result) == [1]
    assert probe.calls["5"] == 2
    assert sum(probe.calls.values()) == 13
    history = await run.root.fetch_history()
    children = [
        event for event in history.events if event.HasField("child_workflow_execution_started_event_attributes")
    ]
    assert len(children) == (0 if execution == "no_children" else 3)


async def test_without_children_a_failed_chunk_is_retried_in_the_open_parent(engine: Engine) -> None:
    probe = told(5)
    run = await engine.launch(12, probe, chunk_size=4, execution="no_children", hold_at_end=True)
    await held(run)
    probe.fail.clear()
    await run.retry([1])
    assert (await run.result()).counts.completed == 3
    assert probe.calls["4"] == 1
    assert probe.calls["5"] == 2


# Resources that batches share: A12.


async def test_two_batches_never_use_a_resource_at_once(engine: Engine) -> None:
    name = f"host-{Probe().name}"
    slow, second = Probe(), Probe()
    slow.gate.clear()
    first_run = await engine.launch(2, slow, resource_field=name)
    await first_run.calls(2)
    second_run = await engine.launch(2, second, resource_field=name)

    async def waits() -> Sequence[Any]:
        return second_run.events(EventKind.WAITING)

    assert (await until(waits, "the second batch waits"))[0].note.startswith(f"Waiting for {name}-")
    assert not second.calls
    slow.gate.set()
    await first_run.result()
    assert (await second_run.result()).counts.completed == 2


async def test_a_batch_may_join_what_another_does_with_a_resource(engine: Engine) -> None:
    name = f"host-{Probe().name}"
    slow, second = Probe(), Probe()
    slow.gate.clear()
    first_run = await engine.launch(1, slow, resource_field=name)
    await first_run.calls(1)
    second_run = await engine.launch(1, second, resource_field=name, resource_taken="join")
    await until(lambda: _found(second_run, EventKind.WAITING), "the second batch waits")
    slow.gate.set()
    assert failed(Status.SKIPPED, await second_run.result()) == [0]
    assert not second.calls


# What needs a person's word: C6.


@pytest.mark.parametrize("approved", [True, False])
async def test_nothing_starts_before_a_person_approves(engine: Engine, approved: bool) -> None:
    run = await engine.launch(3, approval=True)
    opened = (await until(lambda: _found(run, EventKind.GATE_OPENED), "the gate is open"))[0]
    assert opened.until is not None
    assert not run.probe.calls
    await engine.gateway.decide(run.id, approved=approved, person="ada")
    if approved:
        assert (await run.result()).counts.completed == 3
    else:
        assert (await failure(run)).type == "Refused"
        assert not run.probe.calls
    await run.closed_event()
    verdict = "Approved" if approved else "Refused"
    assert [event.note for event in run.events(EventKind.GATE_DECIDED)] == [f"{verdict} by ada."]


async def test_an_approval_that_nobody_gives_counts_as_refused(engine: Engine) -> None:
    run = await engine.launch(3, approval=True, approval_timeout=1)
    assert (await failure(run)).message == "Nobody approved in time."


async def _found(run: Run, kind: EventKind) -> Sequence[Any]:
    return run.events(kind)
