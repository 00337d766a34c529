"""The page of a batch of 100,000 children in Chromium, still and while 500 children a second change.

The batch is written as a launch writes it, and changes through the notify activity, as its parents would report them.
Its children are no workflows, so the reconciler does not look for them in Temporal.
"""

from __future__ import annotations

import gzip
import time
from typing import Any

from playwright.async_api import CDPSession, Page, expect
from temporalio.client import Client, WorkflowHandle

from orchestration.contracts.workflow_ids import root_id
from tests.benchmarks.bare_parents import BARE_TASK_QUEUE, Reporter, Reports
from tests.benchmarks.page_sizes import WATCH_SHIFTS
from tests.benchmarks.report import Figure
from tests.benchmarks.shell import run_in_django
from tests.support.browser import log_in, running_chromium
from tests.support.stack import Stack

CHILDREN = 100_000
CHANGES = 500
"""A second: half of them start, half close."""

SECONDS = 20

MOST_SHIFT_OF_A_RUN = 0.02

WATCH_FRAMES = """
window.shift = 0;
window.frames_seen = 0;
window.longest = 0;
const count = () => { window.frames_seen += 1; requestAnimationFrame(count); };
requestAnimationFrame(count);
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
}).observe({ entryTypes: ["longtask"] });
"""

PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


class _Line:
    """Counts the messages that come over websockets, and their compressed size."""

    def __init__(self, page: Page) -> None:
        self.characters = self.messages = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._take))

    def _take(self, content: str | bytes) -> None:
        self.messages += 1
        self.characters += len(gzip.compress(content.encode() if isinstance(content, str) else content, 1))


async def _heap(session: CDPSession) -> float:
    await session.send("HeapProfiler.collectGarbage")
    usage: dict[str, Any] = await session.send("Runtime.getHeapUsage")
    return float(usage["usedSize"]) / 1024 / 1024


async def _still(stack: Stack, page: Page, batch: str) -> list[Figure]:
    """Load the page, and wait until the map is interactive."""
    address = f"{stack.url}/batches/{batch}/"
    await page.goto(address)  # once, so that both servers are warm
    await page.wait_for_selector("#map[data-state='ready']")
    await page.goto("about:blank")
    response = await page.goto(address)
    assert response is not None
    await page.wait_for_selector("#map[data-state='ready']")
    ready = await page.evaluate("performance.now()")
    painted = await page.evaluate(PAINTED)
    size = len(gzip.compress(await response.body(), 6)) / 1024
    queries = int(run_in_django(stack, f"queries_of_page('{batch}')"))
    session = await page.context.new_cdp_session(page)
    return [
        Figure("100,000 children: first contentful paint in ms", painted, 1_000),
        Figure("100,000 children: map interactive in ms", ready, 1_500),
        Figure("100,000 children: SQL queries", queries, 15),
        Figure("100,000 children: page in kB, compressed", size, 40),
        Figure("100,000 children: JS heap in MB", await _heap(session), 150),
    ]


async def _changing(
    handle: WorkflowHandle[Reporter, int], stack: Stack, page: Page, line: _Line, batch: str
) -> list[Figure]:
    """Have children start and close, and count frames, blocked time and bytes meanwhile."""
    await page.evaluate(WATCH_FRAMES)
    line.characters = line.messages = 0
    began = time.perf_counter()
    frames: int = await page.evaluate("window.frames_seen")
    await handle.signal(Reporter.go)
    closed = await handle.result()
    took = time.perf_counter() - began
    frames = await page.evaluate("window.frames_seen") - frames
    longest: float = await page.evaluate("window.longest")
    done = stack.batch(batch)["children"]["completed"]
    assert done == closed, f"{closed:,} were reported: {stack.batch(batch)}"
    shown = page.locator("#map [data-only='completed'] b")
    await expect(shown).to_have_text(f"{closed:,}", timeout=10_000)
    shift: float = await page.evaluate("window.shift")
    detail = f"{2 * closed / took:,.0f} changes/s in {line.messages} messages"
    return [
        Figure("500 changes/s: layout shift", shift, MOST_SHIFT_OF_A_RUN, detail),
        Figure("500 changes/s: frames a second", frames / took, 50, detail, is_floor=True),
        Figure("500 changes/s: longest block of the main thread in ms", longest, 50, detail),
        Figure("500 changes/s: websocket in kB/s, compressed", line.characters / took / 1024, 40, detail),
    ]


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Measure the page of a batch that does not change, then of one that does."""
    batch = run_in_django(stack, f"batch_without_workflows({CHILDREN})")
    reports = Reports(batch, CHILDREN, 200, CHANGES, SECONDS)
    handle = await client.start_workflow(Reporter.run, reports, id=root_id(batch), task_queue=BARE_TASK_QUEUE)
    stack.wait_for(batch, "running")
    async with running_chromium() as browser:
        context = await browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900})
        page = await context.new_page()
        await page.add_init_script(WATCH_SHIFTS)
        line = _Line(page)
        await log_in(page, "/batches/", stack.login)
        figures = await _still(stack, page, batch)
        figures += await _changing(handle, stack, page, line, batch)
    return figures
