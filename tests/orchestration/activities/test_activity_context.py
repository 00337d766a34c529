"""What lines of the log say while an activity or an item is at work, and what is counted of items."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from orchestration.activities.activity_context import ActivityContext
from orchestration.activities.item_watch import ItemWatch, waiting_text
from orchestration.contracts.dashboard_activities import Notification
from orchestration.contracts.events import NotifyInput
from orchestration.contracts.workflow_ids import batch_of
from orchestration.processors.raised import RETRY_AFTER_LIMIT
from orchestration.telemetry import log_context
from orchestration.telemetry.registry import REGISTRY


class Last(ActivityInboundInterceptor):
    """Where the activity would be executed: returns what the log would say."""

    def __init__(self) -> None:
        """Have nothing behind it."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  the SDK's name
        return log_context.fields()


async def said_of(workflow_id: str, *given: Any) -> dict[str, Any]:
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        environment.info,
        workflow_id=workflow_id,
        workflow_run_id="run-7",
        attempt=2,
        task_queue="heavy",
        activity_type="process_chunk",
    )
    bound = ActivityContext().intercept_activity(Last())
    call = ExecuteActivityInput(fn=lambda: None, args=given, executor=None, headers={})
    found: dict[str, Any] = await environment.run(bound.execute_activity, call)
    return found


async def test_a_line_of_an_activity_says_batch_node_run_attempt_and_queue() -> None:
    node = "batch-0123456789ab/p3/c120"
    about = {"node": node, "run": "run-7", "attempt": 2, "queue": "heavy", "activity": "process_chunk"}
    assert await said_of(node) == {"batch": "0123456789ab", **about}
    assert await said_of(node, NotifyInput("another", [])) == {"batch": "another", **about}
    assert await said_of("notification-d7", Notification("d7")) == {
        **about,
        "node": "notification-d7",
        "delivery": "d7",
    }
    assert log_context.fields() == {}


@pytest.mark.parametrize(
    ("workflow_id", "batch"),
    [
        ("batch-0123456789ab", "0123456789ab"),
        ("batch-0123456789ab/s2/p1/c7", "0123456789ab"),
        ("batch-of-somebody-else", ""),
        ("orders-17", ""),
        ("", ""),
    ],
)
def test_the_batch_of_a_workflow_is_known_by_its_id(workflow_id: str, batch: str) -> None:
    assert batch_of(workflow_id) == batch


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"processor": "weigh", "queue": "heavy", **labels}) or 0.0


async def test_items_are_counted_by_processor_and_queue_and_named_while_they_are_at_work() -> None:
    watch, free = ItemWatch("weigh", "heavy"), asyncio.Event()

    async def one(key: str, attempt: int) -> dict[str, Any]:
        async with watch.attempt([key], attempt):
            await free.wait()
            return log_context.fields()

    before = count("canopy_items_started_total")
    tasks = [asyncio.create_task(one(key, attempt)) for key, attempt in (("a", 1), ("b", 2))]
    await asyncio.sleep(0)
    assert count("canopy_items_in_flight") == 2
    free.set()
    said = await asyncio.gather(*tasks)
    assert said[1] == {"item": "b", "item_attempt": 2, "processor": "weigh"}
    assert count("canopy_items_in_flight") == 0
    assert count("canopy_items_started_total") == before + 2
    assert count("canopy_item_retries_total") >= 1
    watch.finished(0.2, is_completed=False)
    assert count("canopy_items_finished_total", outcome="failed") >= 1


async def test_items_that_are_processed_together_are_named_by_the_first_few() -> None:
    async with ItemWatch("weigh", "heavy").attempt([str(number) for number in range(50)], 1):
        assert log_context.fields()["item"] == "0, 1, 2 and 47 more"
        assert count("canopy_items_in_flight") == 50


def test_a_wait_is_said_where_it_is_long() -> None:
    assert waiting_text(5, 0, 2, 3) == ""
    assert waiting_text(90, 0, 2, 3) == "waiting 90 s before attempt 2 of 3"
    most = waiting_text(RETRY_AFTER_LIMIT, RETRY_AFTER_LIMIT, 2, 3)
    assert "the most that an error may ask for" in most
