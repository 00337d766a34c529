"""The parents that Canopy is measured against: the same children with nothing around them.

`ConcurrentParent` starts all children at once, `WindowedParent` so many at a time, `SequentialParent` awaits each
start as tutorials do, and `ItemActivityParent` runs one activity an item. No notify, no database. `python -m
tests.benchmarks.bare_parents ADDRESS` is their worker, tuned like Canopy's.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestration.contracts.events import EventKind, NotifyInput, TreeEvent
from orchestration.contracts.names import DASHBOARD_TASK_QUEUE, NOTIFY_ACTIVITY
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import child_id
from orchestration.plan.choices import Execution
from orchestration.plan.layout import Layout
from orchestration.plan.plan import Plan

BARE_TASK_QUEUE = "bare"
TIMEOUT = timedelta(minutes=10)
MAX_SLOTS = 200
WINDOW = 100
MAX_EVENTS = 500
PAUSE = 0.02
"""Seconds between two notifications."""

PARENTS = 4
"""Partitions that notify at the same time, each with one call under way."""


@activity.defn
async def do_nothing(index: int) -> int:
    """Return the index."""
    return index


@activity.defn
async def pause(seconds: float) -> None:
    """Wait: a timer of a workflow fires within a second, and not sooner."""
    await asyncio.sleep(seconds)


@workflow.defn
class BareChild:
    """One workflow, one activity: the shape of a child with one item."""

    @workflow.run
    async def run(self, index: int) -> int:
        """Run the activity."""
        return await workflow.execute_activity(do_nothing, index, start_to_close_timeout=TIMEOUT)


@workflow.defn
class ConcurrentParent:
    """Starts all children at once and awaits them."""

    @workflow.run
    async def run(self, children: int) -> int:
        """Return the number of children that completed."""
        info = workflow.info().workflow_id
        results = await asyncio.gather(
            *(workflow.execute_child_workflow(BareChild.run, index, id=f"{info}/c{index}") for index in range(children))
        )
        return len(results)


@workflow.defn
class WindowedParent:
    """Has at most `WINDOW` children open: Temporal lets a parent have 2,000."""

    @workflow.run
    async def run(self, children: int) -> int:
        """Return the number of children that completed."""
        info, places = workflow.info().workflow_id, asyncio.Semaphore(WINDOW)

        async def one(index: int) -> int:
            async with places:
                return await workflow.execute_child_workflow(BareChild.run, index, id=f"{info}/c{index}")

        return len(await asyncio.gather(*(one(index) for index in range(children))))


@workflow.defn
class SequentialParent:
    """Awaits the start of each child before the next."""

    @workflow.run
    async def run(self, children: int) -> int:
        """Return the number of children that completed."""
        info = workflow.info().workflow_id
        handles = [
            await workflow.start_child_workflow(BareChild.run, index, id=f"{info}/c{index}")
            for index in range(children)
        ]
        return len(await asyncio.gather(*handles))


@workflow.defn
class ItemActivityParent:
    """Runs one activity an item."""

    @workflow.run
    async def run(self, items: int) -> int:
        """Return the number of items."""
        results = await asyncio.gather(
            *(workflow.execute_activity(do_nothing, index, start_to_close_timeout=TIMEOUT) for index in range(items))
        )
        return len(results)


@dataclass(frozen=True)
class Reports:
    """What `Reporter` notifies the dashboard of: children of a batch that start and close."""

    batch_id: str
    children: int
    window: int
    changes: int
    seconds: int


@workflow.defn
class Reporter:
    """Reports children as their parents would, at a steady rate: `changes` a second, half starts, half ends.

    It runs under the id of a batch's root, in its place. It starts at the signal `go`.
    """

    def __init__(self) -> None:
        self._may_go = False

    @workflow.signal
    def go(self) -> None:
        """Start."""
        self._may_go = True

    @workflow.run
    async def run(self, given: Reports) -> int:
        """Return the number of children that were reported as closed."""
        info = workflow.info()
        await self._notify(given, [TreeEvent(EventKind.STARTED, info.workflow_id, info.run_id, workflow.now())])
        await workflow.wait_condition(lambda: self._may_go)
        layout = Layout.of(Plan(window=given.window, execution=Execution.NO_CHILDREN), given.children)
        began, sent, position = workflow.time(), 0, 0
        calls = set[asyncio.Task[None]]()
        while (passed := workflow.time() - began) < given.seconds:
            due = min(int(passed * given.changes) - sent, MAX_EVENTS) // 2
            await workflow.wait_condition(lambda: len(calls) < PARENTS)
            if due > 0:
                events, now = list[TreeEvent](), workflow.now()
                for child in range(position, position + due):
                    name = child_id(given.batch_id, child, layout.partition_of(child))
                    events.append(TreeEvent(EventKind.STARTED, name, f"run-{child}", now))
                for child in range(max(0, position - given.window), position + due - given.window):
                    name = child_id(given.batch_id, child, layout.partition_of(child))
                    events.append(TreeEvent(EventKind.CLOSED, name, f"run-{child}", now, Status.COMPLETED))
                call = asyncio.create_task(self._notify(given, events))
                calls.add(call)
                call.add_done_callback(calls.discard)
                position, sent = position + due, sent + 2 * due
            await workflow.execute_activity(pause, PAUSE, start_to_close_timeout=TIMEOUT)
        await asyncio.gather(*calls)
        return max(0, position - given.window)

    async def _notify(self, given: Reports, events: list[TreeEvent]) -> None:
        await workflow.execute_activity(
            NOTIFY_ACTIVITY,
            NotifyInput(given.batch_id, events),
            task_queue=DASHBOARD_TASK_QUEUE,
            start_to_close_timeout=TIMEOUT,
        )


async def _serve(address: str) -> None:
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    worker = Worker(
        client,
        task_queue=BARE_TASK_QUEUE,
        workflows=[BareChild, ConcurrentParent, WindowedParent, SequentialParent, ItemActivityParent, Reporter],
        activities=[do_nothing, pause],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=MAX_SLOTS,
        max_concurrent_workflow_tasks=MAX_SLOTS,
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
