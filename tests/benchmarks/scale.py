"""Scale figures: 100,000 items in chunks, 5,000 children below partitions, and what a child costs its parent."""

from __future__ import annotations

import statistics

import psutil
from temporalio.client import Client

from tests.benchmarks.engine import canopy, run_batch
from tests.benchmarks.report import Figure
from tests.support.stack import Stack

CHILDREN = 500
MANY = 5_000
ROUNDS = 2
"""Of the 500 children, before the 5,000 and after: one alone takes a tenth of the time, and varies by a third."""

ITEMS = 100_000
CHUNK = 500


async def items(client: Client, stack: Stack) -> list[Figure]:
    """Run no-op items in large chunks, and weigh the worker after few and after many."""
    few = await canopy(client, stack, ITEMS // 10, CHUNK)
    light = psutil.Process(stack.worker.pid).memory_info().rss
    many = await canopy(client, stack, ITEMS, CHUNK)
    heavy = psutil.Process(stack.worker.pid).memory_info().rss
    return [
        Figure("100,000 items in chunks of 500: items/s", ITEMS / many, 3_000, f"{many:.1f} s", is_floor=True),
        Figure("10,000 items in chunks of 500: seconds", few, 8),
        Figure("worker's memory after 100,000 items against 10,000", heavy / light, 1.3, f"{heavy / 2**20:.0f} MB"),
    ]


async def children(client: Client, stack: Stack) -> list[Figure]:
    """Hold the time of a child below partitions against one below the root, and count events of both parents."""
    few = [await canopy(client, stack, CHILDREN, 1) for _ in range(ROUNDS)]
    batch, seconds = await run_batch(client, stack, MANY, 1)
    few += [await canopy(client, stack, CHILDREN, 1) for _ in range(ROUNDS)]
    flat, parted = statistics.median(few) / CHILDREN, seconds / MANY
    parents = [node for kind in ("root", "partition") for node in stack.nodes(batch, kind=kind)]
    lengths = [(await client.get_workflow_handle(node["workflow_id"]).describe()).history_length for node in parents]
    notified = await _notify_events(client, parents[1]["workflow_id"])
    detail = f"{parted * 1000:.1f} / {flat * 1000:.1f} ms"
    return [
        Figure("5,000 children: time of a child against 500 children", parted / flat, 1.2, detail),
        Figure("longest history of their parents, in events", max(lengths), 4_000),
        Figure("events of notify for each child", notified, 1),
    ]


async def _notify_events(client: Client, workflow_id: str) -> float:
    """Return how many events of a full partition's history are of its notify activities, for each child."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    activities = sum(event.HasField("activity_task_scheduled_event_attributes") for event in history.events)
    started = sum(event.HasField("child_workflow_execution_started_event_attributes") for event in history.events)
    return 3 * activities / started


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Measure both."""
    return await items(client, stack) + await children(client, stack)
