"""Viewers' figures: 200 browsers' lines to one batch of 1,000 changing children, on one web process.

Each message says when the batch last changed; what is measured is from there to when a line has it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from dataclasses import dataclass, field
from datetime import datetime

import httpx
import psutil
from temporalio.client import Client
from websockets.asyncio.client import connect

from orchestration.contracts.workflow_ids import root_id
from tests.benchmarks.bare_parents import BARE_TASK_QUEUE, Reporter, Reports
from tests.benchmarks.batch_page import WRITE
from tests.benchmarks.report import Figure
from tests.support.stack import Stack
from tests.support.waiting import until

VIEWERS = 200
CHILDREN = 1_000
CHANGES = 100
"""A second: half of them start, half close."""

SECONDS = 20


@dataclass
class _Viewer:
    """One line, as a page has it."""

    revision: int = 0
    waits: list[float] = field(default_factory=list)
    characters: int = 0

    async def watch(self, address: str, cookie: str, origin: str) -> None:
        """Take messages, and note how old each newest change is."""
        headers = {"Cookie": cookie, "Origin": origin}
        async with connect(address, additional_headers=headers, max_size=None) as line:
            async for text in line:
                message = json.loads(text)
                self.characters += len(text)
                if message["type"] == "delta" and not message["more"]:
                    self.revision = message["revision"]
                    changed = datetime.fromisoformat(message["batch"]["changed_at"])
                    self.waits.append(time.time() - changed.timestamp())


def log_in(stack: Stack) -> str:
    """Return the cookie of a session."""
    with httpx.Client(base_url=stack.url) as client:
        client.get("/login/")
        form = {
            "username": stack.login["username"],
            "password": stack.login["password"],
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
        }
        client.post("/login/", data=form, headers={"Referer": f"{stack.url}/login/"})
        return f"sessionid={client.cookies['sessionid']}"


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Open the lines, have the batch change, and weigh the web process while it does."""
    written = await asyncio.to_thread(
        stack.manage, "shell", "--verbosity", "0", "--command", WRITE.format(children=CHILDREN)
    )
    batch = written.split()[-1]
    reports = Reports(batch, CHILDREN, 50, CHANGES, SECONDS)
    handle = await client.start_workflow(Reporter.run, reports, id=root_id(batch), task_queue=BARE_TASK_QUEUE)
    await asyncio.to_thread(stack.wait_for, batch, "running")
    cookie = await asyncio.to_thread(log_in, stack)
    address = f"{stack.url.replace('http', 'ws', 1)}/ws/batches/{batch}/?revision=0"
    viewers = [_Viewer() for _ in range(VIEWERS)]
    lines = [asyncio.create_task(viewer.watch(address, cookie, stack.url)) for viewer in viewers]

    async def all_open() -> bool:
        return all(viewer.waits for viewer in viewers)

    await until(all_open, "every line is open")
    for viewer in viewers:
        viewer.waits.clear()
    web = psutil.Process(stack.web.pid)
    web.cpu_percent()
    await handle.signal(Reporter.go)
    closed = await handle.result()
    memory, load = web.memory_info().rss / 1024 / 1024, web.cpu_percent()
    newest = (await asyncio.to_thread(stack.batch, batch))["revision"]

    async def all_there() -> bool:
        return all(viewer.revision >= newest for viewer in viewers)

    await until(all_there, "every line has the newest revision")
    for line in lines:
        line.cancel()
    await asyncio.gather(*lines, return_exceptions=True)
    waits = [wait for viewer in viewers for wait in viewer.waits]
    detail = f"{closed / SECONDS * 2:.0f} changes/s, {len(waits):,} messages, web at {load:.0f} % of a core"
    return [
        Figure("200 viewers: commit to message, p50 in ms", statistics.median(waits) * 1000, 1_000, detail),
        Figure(
            "200 viewers: commit to message, p95 in ms", statistics.quantiles(waits, n=20)[18] * 1000, 1_000, detail
        ),
        Figure("200 viewers: web process in MB", memory, 400),
    ]
