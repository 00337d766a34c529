"""Children: their options (A11), what runs their items (B4), and the resources that batches share (A12)."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from orchestration.contracts.events import EventKind
from orchestration.contracts.names import AWAIT_WORKFLOW_ACTIVITY
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id, root_id
from tests.support.engine import Engine, failed
from tests.support.parents import failing, first_event, held
from tests.support.probe import Probe
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_child_that_takes_too_long_is_timed_out_alone(engine: Engine) -> None:
    probe = Probe()
    probe.gate.clear()
    run = await engine.launch(2, probe, child_run_timeout=1)
    result = await run.result()
    assert failed(Status.TIMED_OUT, result) == [0, 1]


async def test_a_child_gets_further_runs_by_itself(engine: Engine) -> None:
    probe = failing(0)
    run = await engine.launch(2, probe, child_attempts=3, child_backoff=0.1)
    assert failed(Status.FAILED, await run.result()) == [0]
    assert probe.calls["0"] == 3


@pytest.mark.parametrize("plan", [{"item_attempts": 3}, {"item_attempts": 3, "execution": "activities"}])
async def test_a_type_of_error_that_is_ruled_out_is_not_retried_by_item_or_child(
    engine: Engine, plan: dict[str, Any]
) -> None:
    once, thrice = failing(0), failing(0)
    options = {"item_backoff": 0, "child_backoff": 0.1, **plan}
    run = await engine.launch(1, once, **options, child_attempts=3, non_retryable="KeyError, ProbeError")
    other = await engine.launch(1, thrice, **options, non_retryable="KeyError")
    assert failed(Status.FAILED, await run.result()) == failed(Status.FAILED, await other.result()) == [0]
    assert (once.calls["0"], thrice.calls["0"]) == (1, 3)


async def test_an_item_has_the_same_idempotency_key_in_every_attempt_and_run_and_no_other_has_it(
    engine: Engine,
) -> None:
    probe = failing(0)
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


@pytest.mark.parametrize("execution", ["activities", "local_activities", "no_children"])
async def test_items_may_be_activities_with_or_without_a_child(engine: Engine, execution: str) -> None:
    probe = failing(5)
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
    probe = failing(5)
    run = await engine.launch(12, probe, chunk_size=4, execution="no_children", hold_at_end=True)
    await held(run)
    probe.fail.clear()
    await run.retry([1])
    assert (await run.result()).counts.completed == 3
    assert probe.calls["4"] == 1
    assert probe.calls["5"] == 2


async def test_two_batches_never_use_a_resource_at_once(engine: Engine) -> None:
    name = f"host-{Probe().name}"
    slow, second = Probe(), Probe()
    slow.gate.clear()
    first_run = await engine.launch(2, slow, resource_field=name)
    await first_run.calls(2)
    second_run = await engine.launch(2, second, resource_field=name)
    assert (await first_event(second_run, EventKind.WAITING)).note.startswith(f"Waiting for {name}-")
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
    await first_event(second_run, EventKind.WAITING)
    slow.gate.set()
    assert failed(Status.SKIPPED, await second_run.result()) == [0]
    assert not second.calls


async def test_a_batch_that_is_canceled_or_stops_waits_for_no_resource(engine: Engine) -> None:
    """The other batch keeps the resource of its only item; of those that wait for it one fails by its second item."""
    name = f"host-{Probe().name}"
    slow = Probe()
    slow.gate.clear()
    await (await engine.launch(1, slow, resource_field=name)).calls(1)
    canceled = await engine.launch(1, resource_field=name)
    stopped = await engine.launch(2, failing(1), resource_field=name, failure_policy="fail_fast")
    await first_event(canceled, EventKind.WAITING)
    await engine.gateway.cancel(root_id(canceled.id))
    assert (await canceled.closed_event()).outcome is Status.CANCELED
    assert (await stopped.closed_event()).outcome is Status.FAILED
    slow.gate.set()


async def test_a_child_that_waits_for_its_resource_is_skipped_and_none_starts_in_a_paused_batch(engine: Engine) -> None:
    name = f"host-{Probe().name}"
    slow, second = Probe(), Probe()
    slow.gate.clear()
    first_run = await engine.launch(2, slow, resource_field=name)
    await first_run.calls(2)
    run = await engine.launch(2, second, resource_field=name)
    await first_event(run, EventKind.WAITING)

    async def resource_is_free() -> bool:
        """Whether the wait for the first resource is over, and the root has done what follows from it."""
        events = (await run.root.fetch_history()).events
        scheduled = {each.event_id: each.activity_task_scheduled_event_attributes for each in events}
        over = [
            each.event_id
            for each in events
            if (of := scheduled.get(each.activity_task_completed_event_attributes.scheduled_event_id)) is not None
            and of.activity_type.name == AWAIT_WORKFLOW_ACTIVITY
        ]
        done = [each.event_id for each in events if each.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
        return bool(over) and max(done) > over[0]

    async def both_wait() -> bool:
        return len(run.events(EventKind.WAITING)) == 2

    await until(both_wait, "both wait")
    assert (await run.skip([1])).accepted == [1]
    await engine.gateway.pause(run.id)
    slow.gate.set()
    await first_run.result()
    await until(resource_is_free, "the resource is free")
    assert not second.calls
    await engine.gateway.resume(run.id)
    result = await run.result()
    assert (result.counts.completed, failed(Status.SKIPPED, result)) == (1, [1])
    assert list(second.calls) == ["0"]


async def test_a_retry_of_a_closed_batch_holds_the_resource_that_the_launch_held(engine: Engine) -> None:
    name = f"host-{Probe().name}"
    probe, second = failing(1), Probe()
    run = await engine.launch(2, probe, resource_field=name)
    await run.result()
    probe.fail.clear()
    probe.gate.clear()
    assert (await run.retry([1])).accepted == [1]
    await run.calls(3)
    second_run = await engine.launch(2, second, resource_field=name)
    await first_event(second_run, EventKind.WAITING)
    probe.gate.set()
    assert (await run.result()).counts.completed == 1
    started = [event.workflow_id for event in run.events(EventKind.STARTED)]
    assert started.count(f"resource-{name}-1") == 2
    assert (await second_run.result()).counts.completed == 2
