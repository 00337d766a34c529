"""The websockets of 200 browsers to one batch of 1,000 changing children, on one web process.

Each message says when the batch last changed; what is measured is from there to when a browser has received it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import psutil
from temporalio.client import Client
from websockets.asyncio.client import connect

from orchestration.contracts.workflow_ids import root_id
from tests.benchmarks.bare_parents import BARE_TASK_QUEUE, Reporter, Reports
from tests.benchmarks.report import Figure
from tests.benchmarks.shell import run_in_django
from tests.support.http_browser import http_browser
from tests.support.stack import Stack
from tests.support.waiting import until

VIEWERS = 200
CHILDREN = 1_000
CHANGES = 100
"""A second: half of them start, half close."""

SECONDS = 20


@dataclass
class _Viewer:
    """One websocket, as a page has it."""

    revision: int = 0
    waits: list[float] = field(default_factory=list)
    characters: int = 0

    async def watch(self, address: str, cookie: str, origin: str) -> None:
        """Read messages, and note how old each newest change is."""
        headers = {"Cookie": cookie, "Origin": origin}
        async with connect(address, additional_headers=headers, max_size=None) as line:
            async for text in line:
                message = json.loads(text)
                self.characters += len(text)
                if message["type"] == "delta" and not message["more"]:
                    self.revision = message["revision"]
                    changed = datetime.fromisoformat(message["batch"]["changed_at"])
                    self.waits.append(time.time() - changed.timestamp())


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Open the websockets, have the batch change, and weigh the web process while it does."""
    batch = await asyncio.to_thread(run_in_django, stack, f"batch_without_workflows({CHILDREN})")
    reports = Reports(batch, CHILDREN, 50, CHANGES, SECONDS)
    handle = await client.start_workflow(Reporter.run, reports, id=root_id(batch), task_queue=BARE_TASK_QUEUE)
    await asyncio.to_thread(stack.wait_for, batch, "running")
    viewers = [_Viewer() for _ in range(VIEWERS)]
    async with _watching(stack, batch, viewers):
        web = psutil.Process(stack.web.pid)
        web.cpu_percent()
        await handle.signal(Reporter.go)
        closed = await handle.result()
        memory, load = web.memory_info().rss / 1024 / 1024, web.cpu_percent()
        newest = (await asyncio.to_thread(stack.batch, batch))["revision"]

        async def all_there() -> bool:
            return all(viewer.revision >= newest for viewer in viewers)

        await until(all_there, "every viewer has the newest revision")
    waits = [wait for viewer in viewers for wait in viewer.waits]
    detail = f"{closed / SECONDS * 2:.0f} changes/s, {len(waits):,} messages, web at {load:.0f} % of a core"
    median, p95 = statistics.median(waits) * 1000, statistics.quantiles(waits, n=20)[18] * 1000
    return [
        Figure("200 viewers: commit to message, p50 in ms", median, 1_000, detail),
        Figure("200 viewers: commit to message, p95 in ms", p95, 1_000, detail),
        Figure("200 viewers: web process in MB", memory, 400),
    ]


@asynccontextmanager
async def _watching(stack: Stack, batch: str, viewers: Sequence[_Viewer]) -> AsyncIterator[None]:
    """Have viewers watch a batch; once each has had its first message, what they have noted is cleared."""
    browser = await asyncio.to_thread(http_browser, stack)
    cookie = f"sessionid={browser.cookies['sessionid']}"
    address = f"{stack.url.replace('http', 'ws', 1)}/ws/batches/{batch}/?revision=0"
    tasks = [asyncio.create_task(viewer.watch(address, cookie, stack.url)) for viewer in viewers]

    async def all_open() -> bool:
        return all(viewer.waits for viewer in viewers)

    await until(all_open, "every websocket is open")
    for viewer in viewers:
        viewer.waits.clear()
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
