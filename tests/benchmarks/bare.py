"""The parents that Canopy is measured against: the same children with nothing around them.

`ConcurrentParent` starts all children at once, `SequentialParent` awaits each start as tutorials do, and
`ItemActivityParent` runs one activity an item. No notify, no database. `python -m tests.benchmarks.bare ADDRESS` is
their worker, tuned like Canopy's.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

BARE_TASK_QUEUE = "bare"
TIMEOUT = timedelta(minutes=10)
MAX_SLOTS = 200


@activity.defn
async def do_nothing(index: int) -> int:
    """Return the index."""
    return index


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


async def _serve(address: str) -> None:
    client = await Client.connect(address)
    worker = Worker(
        client,
        task_queue=BARE_TASK_QUEUE,
        workflows=[BareChild, ConcurrentParent, SequentialParent, ItemActivityParent],
        activities=[do_nothing],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=MAX_SLOTS,
        max_concurrent_workflow_tasks=MAX_SLOTS,
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
