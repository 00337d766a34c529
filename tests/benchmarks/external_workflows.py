"""Watching external workflows: a tree of 2,000 nodes, and what the plugin costs while the dashboard is away."""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestration.plugin import CanopyPlugin
from tests.benchmarks.report import Figure
from tests.support.external_sample import Order, ProcessOrder, ProcessOrders, pack
from tests.support.http_browser import http_browser
from tests.support.stack import Stack, free_port

BOXES, PARTS = 40, 49
NODES = 1 + BOXES * (1 + PARTS)
ORDERS = 200
ROUNDS = 3
SETTLED_WITHIN = 10.0


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Measure both."""
    return [*await _tree(client, stack), await _plugin(client)]


async def _tree(client: Client, stack: Stack) -> list[Figure]:
    name = f"boxes-{uuid4().hex[:6]}"
    orders = [Order(f"{box}", parts=[Order(f"{part}") for part in range(PARTS)]) for box in range(BOXES)]
    queue = f"external-{name}"
    async with _worker(client, queue):
        began = time.monotonic()
        handle = await client.start_workflow("ProcessOrders", orders, id=name, task_queue=queue)
        answer = await asyncio.to_thread(stack.api, "POST", "/watches", {"workflow_id": name})
        batch_id = answer.json()["id"]
        await handle.result()
        ran, closed = time.monotonic() - began, time.monotonic()
        seen = await asyncio.to_thread(stack.wait_for, batch_id, "completed")
        settled = time.monotonic() - closed
    assert (seen["status"], seen["children"]["completed"]) == ("completed", BOXES * PARTS), seen
    page = await asyncio.to_thread(_page, stack, batch_id)
    return [
        Figure(
            f"{NODES:,} nodes: seconds from the root's end to the last row", settled, SETTLED_WITHIN, f"ran {ran:.0f} s"
        ),
        Figure("its page, in seconds", page, 1.0),
    ]


def _page(stack: Stack, batch_id: str) -> float:
    browser = http_browser(stack)
    began = time.monotonic()
    browser.get(f"/batches/{batch_id}/").raise_for_status()
    return time.monotonic() - began


def _worker(client: Client, queue: str, *plugins: CanopyPlugin) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=[ProcessOrder, ProcessOrders],
        activities=[pack],
        plugins=plugins,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


async def _plugin(client: Client) -> Figure:
    """Run the same orders with and without the plugin, alternately; the best of each counts."""
    took: dict[bool, float] = {}
    for number in range(2 * ROUNDS):
        has_plugin, queue = bool(number % 2), f"plugin-{uuid4().hex[:6]}"
        plugins = [CanopyPlugin(f"http://127.0.0.1:{free_port()}", "token")] if has_plugin else []
        async with _worker(client, queue, *plugins):
            orders = [Order(f"{each}") for each in range(ORDERS)]
            began = time.monotonic()
            await client.execute_workflow("ProcessOrders", orders, id=queue, task_queue=queue)
            took[has_plugin] = min(took.get(has_plugin, 1e9), time.monotonic() - began)
    detail = f"{took[True]:.1f} / {took[False]:.1f} s for {ORDERS} children"
    return Figure(
        "a worker with the plugin and no dashboard, against one without", took[True] / took[False], 1.1, detail
    )
