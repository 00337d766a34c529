"""Engine figures: Canopy with everything around it against bare parents, side by side on one server."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio.client import Client

from orchestration.plan.choices import Execution
from tests.benchmarks.bare_parents import BARE_TASK_QUEUE, ConcurrentParent, ItemActivityParent, SequentialParent
from tests.benchmarks.report import Figure
from tests.support.stack import Stack

CHILDREN = 500
ITEMS = 10_000
ACTIVITIES = 1_000
CHUNK = 100
ALL = ITEMS // CHUNK
"""A window that nothing waits for: the bare parent has none."""

ROUNDS = 3
QUICK_ROUNDS = 15
"""Of what takes two seconds: on a shared machine one of those is soon a third longer."""

NO_OP = {"seconds_from": 0, "seconds_to": 0}


async def bare(client: Client, parent: Callable[..., Awaitable[int]], number: int) -> float:
    """Return the seconds that a bare parent takes, from its start to its result."""
    began = time.perf_counter()
    name = f"{getattr(parent, '__qualname__', 'parent').split('.')[0]}-{time.time_ns()}"
    await client.execute_workflow(parent, number, id=name, task_queue=BARE_TASK_QUEUE)
    return time.perf_counter() - began


async def canopy(client: Client, stack: Stack, count: int, chunk_size: int, **plan: Any) -> float:
    """Return the seconds that a batch's root takes by Temporal's own clock, dashboard and database included."""
    return (await run_batch(client, stack, count, chunk_size, **plan))[1]


async def run_batch(client: Client, stack: Stack, count: int, chunk_size: int, **plan: Any) -> tuple[str, float]:
    """Return a batch that has completed, and the seconds that its root took."""
    plan |= {"chunk_size": chunk_size, "item_concurrency": 100}
    batch = stack.launch(processor="simulate", parameters=NO_OP, count=count, plan=plan)

    root = client.get_workflow_handle(f"batch-{batch}")
    await root.result()
    seen = await root.describe()
    assert seen.close_time is not None
    stack.wait_for(batch, "completed")
    return batch, (seen.close_time - seen.start_time).total_seconds()


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Run the two of each pair in turn, and compare those of one round: the machine is as busy for both."""
    ours, concurrent = list[float](), list[float]()
    for _ in range(ROUNDS):
        concurrent.append(await bare(client, ConcurrentParent.run, CHILDREN))
        ours.append(await canopy(client, stack, CHILDREN, 1))
    sequential = await bare(client, SequentialParent.run, CHILDREN)
    mine, theirs = statistics.median(ours), statistics.median(concurrent)
    return [
        Figure(
            "500 children: time against a bare concurrent parent",
            statistics.median(a / b for a, b in zip(ours, concurrent, strict=True)),
            1.15,
            f"{mine:.1f} / {theirs:.1f} s",
        ),
        Figure(
            "500 children: times faster than one start after another",
            sequential / mine,
            3,
            f"{sequential:.1f} / {mine:.1f} s",
            is_floor=True,
        ),
        *await _measure_items(client, stack),
    ]


async def _measure_items(client: Client, stack: Stack) -> list[Figure]:
    chunked, childless, activities = list[float](), list[float](), list[float]()
    for _ in range(QUICK_ROUNDS):
        chunked.append(ITEMS / await canopy(client, stack, ITEMS, CHUNK, window=ALL))
        childless.append(ITEMS / await canopy(client, stack, ITEMS, CHUNK, window=ALL, execution=Execution.NO_CHILDREN))
        activities.append(ACTIVITIES / await bare(client, ItemActivityParent.run, ACTIVITIES))
    slow_rate = statistics.median(activities)
    return [
        Figure(
            f"10,000 items in chunks of 100, {how}: times the items/s of one activity an item",
            statistics.median(rate / slow for rate, slow in zip(rates, activities, strict=True)),
            15,
            f"{statistics.median(rates):,.0f} / {slow_rate:,.0f} items/s",
            is_floor=True,
        )
        for how, rates in (("a child each", chunked), ("without children", childless))
    ]
