"""Parent and child workflows of a team that does not use Canopy. Imports nothing of it.

Run as a program: a worker of the queue `orders`, at TEMPORAL_ADDRESS.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

QUEUE = "orders"


@dataclass
class Order:
    """An order and its parts, which are orders. It waits for one file, and fails while another does not exist."""

    name: str
    waits_for: str = ""
    needs: str = ""
    parts: list[Order] = field(default_factory=list)


@activity.defn
async def pack(order: Order) -> str:
    """Pack an order."""
    while order.waits_for and not await asyncio.to_thread(Path(order.waits_for).exists):
        activity.heartbeat()
        await asyncio.sleep(0.1)
    if order.needs and not await asyncio.to_thread(Path(order.needs).exists):
        raise ApplicationError(f"{order.name} is out of stock", type="OutOfStock", non_retryable=True)
    return f"packed {order.name}"


@workflow.defn
class ProcessOrder:
    """Pack one order, or its parts."""

    @workflow.run
    async def run(self, order: Order) -> Any:
        """Return what was packed."""
        if order.parts:
            return await _process(order.parts)
        return await workflow.execute_activity(pack, order, start_to_close_timeout=timedelta(minutes=5))


@workflow.defn
class ProcessOrders:
    """Process every order of a day."""

    @workflow.run
    async def run(self, orders: list[Order]) -> list[str]:
        """Return the outcome of each."""
        return await _process(orders)


async def _process(orders: list[Order]) -> list[str]:
    above = workflow.info().workflow_id
    done = await asyncio.gather(
        *(workflow.execute_child_workflow(ProcessOrder.run, each, id=f"{above}/{each.name}") for each in orders),
        return_exceptions=True,
    )
    return [str(each) for each in done]


async def main() -> None:
    """Run a worker until the process is ended."""
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    async with Worker(client, task_queue=QUEUE, workflows=[ProcessOrder, ProcessOrders], activities=[pack]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
