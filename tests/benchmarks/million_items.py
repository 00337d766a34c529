"""A million items from a file that is read while it runs: memory of worker and web, and the histories of the root."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
from temporalio.client import Client

from tests.benchmarks.report import Figure
from tests.support.http_browser import http_browser
from tests.support.stack import Stack

ITEMS = 1_000_000
CHUNK = 500
SAMPLE_EVERY = 1.0
"""Seconds between two readings of the memory."""

NO_WORK = {
    "seconds_from": 0,
    "seconds_to": 0,
    "fail_percent": 0,
    "fail_first_attempts": 0,
    "seed": 1,
    "result_bytes": 0,
}
PLAN = {"chunk_size": CHUNK, "window": 50, "paged": "on", "page_children": 200, "item_concurrency": 10}
REST = {"item_attempts": 3, "item_backoff": 1, "item_timeout": 60, "failure_policy": "collect", "task_queue": "canopy"}


@dataclass
class Peak:
    """The most memory that the processes had, in bytes."""

    worker: int = 0
    web: int = 0

    def sample(self, stack: Stack) -> None:
        """Read the memory that the processes have now."""
        self.worker = max(self.worker, psutil.Process(stack.worker.pid).memory_info().rss)
        self.web = max(self.web, psutil.Process(stack.web.pid).memory_info().rss)


def _rows() -> Iterator[bytes]:
    yield b"account,amount\n"
    for first in range(0, ITEMS, 10_000):
        yield "".join(f"account-{number},{number % 997}\n" for number in range(first, first + 10_000)).encode()


def launch(stack: Stack) -> str:
    """Launch the file from the form, as a person does, and return the batch's id."""
    browser = http_browser(stack)
    form = {f"parameters-{name}": str(value) for name, value in NO_WORK.items()}
    form |= {f"plan-{name}": str(value) for name, value in (PLAN | REST).items()}
    form |= {"format": "csv", "text": "", "key": "", "label": "million", "idempotency_key": "million", "upload": ""}
    file = {"file": ("million.csv", b"".join(_rows()))}
    answer = browser.submit("/launch/simulate/", form, files=file, timeout=300)
    found = re.search(r"/batches/(\w+)/", str(answer.url))
    assert found, answer.text
    return found[1]


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Launch it and sample the processes' memory until it has closed."""
    began, peak = time.monotonic(), Peak()
    batch_id = await asyncio.to_thread(launch, stack)
    while (seen := await asyncio.to_thread(stack.batch, batch_id))["status"] in ("pending", "running"):
        peak.sample(stack)
        await asyncio.sleep(SAMPLE_EVERY)
    seconds = time.monotonic() - began
    assert (seen["status"], seen["items"]["completed"]) == ("completed", ITEMS), seen
    runs = [run async for run in client.list_workflows(f'WorkflowId = "batch-{batch_id}"')]
    handles = [client.get_workflow_handle(run.id, run_id=run.run_id) for run in runs]
    lengths = [(await handle.describe()).history_length for handle in handles]
    return [
        Figure(
            "1,000,000 items read while they run: items/s", ITEMS / seconds, 3_000, f"{seconds:.0f} s", is_floor=True
        ),
        Figure("worker's memory at most, in MB", peak.worker / 2**20, 400),
        Figure("web process's memory at most, in MB", peak.web / 2**20, 400),
        Figure("longest history of a run of its root, in events", max(lengths), 10_000, f"{len(runs)} runs"),
    ]
