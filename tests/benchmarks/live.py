"""From a child's close to the changed row in Chromium, and what a page of 10,000 children costs."""

from __future__ import annotations

import statistics
from datetime import datetime

import psutil
from playwright.async_api import Page
from temporalio.client import Client

from tests.benchmarks.report import Figure
from tests.benchmarks.shell import run_in_django
from tests.support.browser import log_in, running_chromium
from tests.support.stack import Stack

CHILDREN = 200
MANY = 10_000
SEEN = """
window.seen = {};
new MutationObserver(records => {
  for (const record of records) {
    const row = record.target;
    if (row.dataset && row.dataset.status === "completed" && !(row.dataset.node in window.seen)) {
      window.seen[row.dataset.node] = Date.now();
    }
  }
}).observe(document.body, {subtree: true, attributes: true, attributeFilter: ["data-status"]});
"""


async def latency(client: Client, stack: Stack, page: Page) -> list[Figure]:
    """Watch 200 children close at about 10 a second, and hold each row's change against Temporal's close time."""
    parameters = {"seconds_from": 1, "seconds_to": 3}
    batch = stack.launch(processor="simulate", parameters=parameters, count=CHILDREN, plan={"window": 20})
    await page.goto(f"{stack.url}/batches/{batch}/")
    await page.evaluate(SEEN)
    await page.locator('#batch b[data-count="completed"][data-of="children"]', has_text=str(CHILDREN)).first.wait_for(
        timeout=120_000
    )
    seen: dict[str, int] = await page.evaluate("window.seen")
    waits = []
    for node in stack.nodes(batch, kind="child"):
        if str(node["id"]) in seen:
            closed = (await client.get_workflow_handle(node["workflow_id"]).describe()).close_time
            assert isinstance(closed, datetime)
            waits.append(seen[str(node["id"])] - closed.timestamp() * 1000)
    assert len(waits) >= CHILDREN // 3, f"only {len(waits)} rows were seen to change"
    percentiles = statistics.quantiles(waits, n=100)
    detail = f"{len(waits)} rows of the first page"
    return [
        Figure("close to changed row, p50 in ms", percentiles[49], 150, detail),
        Figure("close to changed row, p95 in ms", percentiles[94], 400, detail),
    ]


def _megabytes(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1024 / 1024


async def large_batch(stack: Stack, page: Page) -> list[Figure]:
    """Run 10,000 children, open their page, and weigh the processes."""
    parameters = {"seconds_from": 0, "seconds_to": 0, "fail_percent": 1}
    batch = stack.launch(processor="simulate", parameters=parameters, count=MANY, plan={"item_attempts": 1})
    await page.goto(f"{stack.url}/batches/{batch}/")
    stack.wait_for(batch, "completed_with_failures", deadline=900)
    await page.reload()
    queries = int(run_in_django(stack, f"queries_of_page('{batch}')"))
    return [
        Figure("SQL queries of the page of 10,000 children", queries, 15),
        Figure("web process in MB after 10,000 children", _megabytes(stack.web.pid), 250),
        Figure("worker process in MB after 10,000 children", _megabytes(stack.worker.pid), 300),
    ]


async def measure(client: Client, stack: Stack, *, is_large: bool) -> list[Figure]:
    """Drive one Chromium through the latency of rows, or through a page of 10,000 children."""
    async with running_chromium() as browser:
        context = await browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900})
        page = await context.new_page()
        await log_in(page, "/batches/", stack.login)
        return await (large_batch(stack, page) if is_large else latency(client, stack, page))
