"""Canopy's pages against Temporal's own UI, in the same Chromium, of the same batch on the same server.

Paint: from the navigation to the first child that one can read, the second time a page is opened. Theirs is of a bare
parent with as many children: what is below partitions it does not show at once. Staleness: from a child's close to its
row saying so, on pages that nobody touches; theirs is given the partition's page.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from playwright.async_api import Browser, Page
from playwright.async_api import TimeoutError as PlaywrightTimeout
from temporalio.client import Client

from orchestration.contracts.workflow_ids import root_id
from tests.benchmarks.bare_parents import BARE_TASK_QUEUE, WindowedParent
from tests.benchmarks.report import Figure
from tests.support.browser import log_in, running_chromium
from tests.support.stack import Stack
from tests.support.waiting import until, wait_until

SIZES = (500, 2_000, 5_000)
TIMES = 4
GIVEN_UP_AFTER = 30.0
"""Seconds after which a page is said to be stale for so long at least."""

CLOSES_WITHIN = 30.0
"""Seconds after the batch goes on."""

THEIR_NODE = "a[href*='/workflows/'][href*='%2Fc'], a[href*='/workflows/'][href*='%2Fp']"
OUR_CHILDREN = "#tree tr[data-kind='child']"

THEIR_STATUS = """(id) => {
  for (const link of document.querySelectorAll("a")) {
    if (link.textContent.trim() !== id) continue;
    for (let at = link, up = 0; at && up < 6; at = at.parentElement, up += 1) {
      if (/completed/i.test(at.innerText)) return true;
      if (/running/i.test(at.innerText)) return false;
    }
  }
  return false;
}"""
OUR_STATUS = "(id) => document.getElementById(id)?.dataset.status === 'completed'"


@dataclass(frozen=True)
class _Target:
    """A child that is about to run, and the addresses of the pages that show it."""

    workflow_id: str
    row: str
    ours: str
    theirs: str


async def _paint(browser_page: Page, address: str, selector: str) -> float:
    """Return the seconds until a page shows children; the first time warms everything up."""
    took = 0.0
    for _ in range(2):
        await browser_page.goto("about:blank")
        began = time.perf_counter()
        await browser_page.goto(address)
        await browser_page.locator(selector).first.wait_for(timeout=60_000)
        took = time.perf_counter() - began
    return took


async def _shown_at(page: Page, script: str, argument: str) -> float | None:
    """Return when a page says that a child has closed; nothing where it does not in time."""
    try:
        await page.wait_for_function(script, arg=argument, polling=20, timeout=1000 * (CLOSES_WITHIN + GIVEN_UP_AFTER))
    except PlaywrightTimeout:
        return None
    return time.time()


def _almost_done(stack: Stack, size: int) -> str:
    """Run a batch almost to its end, and pause it."""
    parameters = {"seconds_from": 0, "seconds_to": 0}
    batch = stack.launch(processor="simulate", parameters=parameters, count=size, plan={"window": 20})
    wait_until(lambda: stack.batch(batch)["children"]["completed"] >= 0.9 * size, "most have completed", deadline=900)
    stack.api("POST", f"/batches/{batch}/pause")
    wait_until(lambda: stack.batch(batch)["children"]["running"] == 0, "what was open has closed", deadline=60)
    return batch


async def _target(client: Client, stack: Stack, batch: str) -> _Target:
    pending = stack.nodes(batch, kind="child", status="pending")
    child: dict[str, Any] = min(pending, key=lambda node: int(node["workflow_id"].rsplit("/c", 1)[1]))
    parent = child["workflow_id"].rsplit("/", 1)[0]
    run_id = (await client.get_workflow_handle(parent).describe()).run_id
    opened = f"?open={child['parent']}" if parent != root_id(batch) else ""
    name = parent.replace("/", "%2F")
    return _Target(
        child["workflow_id"],
        f"node-{child['id']}",
        f"{stack.url}/batches/{batch}/{opened}",
        f"{stack.temporal.ui_url}/namespaces/default/workflows/{name}/{run_id}/relationships",
    )


async def _bare_address(client: Client, stack: Stack, size: int) -> str:
    """Run a bare parent of as many children, and return where Temporal's UI shows them."""
    name = f"bare-{size}"
    handle = await client.start_workflow(WindowedParent.run, size, id=name, task_queue=BARE_TASK_QUEUE)
    await handle.result()
    run_id = handle.first_execution_run_id
    return f"{stack.temporal.ui_url}/namespaces/default/workflows/{name}/{run_id}/relationships"


async def _measure(client: Client, stack: Stack, browser: Browser, size: int) -> list[Figure]:
    batch = await asyncio.to_thread(_almost_done, stack, size)
    target = await _target(client, stack, batch)
    context = await browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900})
    ours, theirs = await context.new_page(), await context.new_page()
    await log_in(ours, "/batches/", stack.login)
    our_paint = await _paint(ours, target.ours, OUR_CHILDREN)
    their_paint = await _paint(theirs, await _bare_address(client, stack, size), THEIR_NODE)
    other = await browser.new_context(viewport={"width": 1440, "height": 900})
    theirs = await other.new_page()
    await _paint(theirs, target.theirs, THEIR_NODE)
    our_staleness, their_staleness = await _staleness(client, stack, batch, target, ours, theirs)
    await context.close()
    await other.close()
    paint = f"ours {our_paint * 1000:.0f} ms, theirs {their_paint * 1000:.0f} ms"
    at_least = "at least " if their_staleness >= GIVEN_UP_AFTER else ""
    stale = f"ours {our_staleness * 1000:.0f} ms, theirs {at_least}{their_staleness:.1f} s"
    name, ratio = f"{size:,} children: Temporal's UI to ours", their_staleness / max(our_staleness, 0.02)
    return [
        Figure(f"{name}, paint", their_paint / our_paint, TIMES, paint, is_floor=True),
        Figure(f"{name}, staleness", ratio, TIMES, stale, is_floor=True),
    ]


async def _staleness(
    client: Client, stack: Stack, batch: str, target: _Target, ours: Page, theirs: Page
) -> tuple[float, float]:
    """Resume the batch, and return the seconds from the child's close to when our page and theirs show it."""
    shown = [
        asyncio.create_task(_shown_at(ours, OUR_STATUS, target.row)),
        asyncio.create_task(_shown_at(theirs, THEIR_STATUS, target.workflow_id)),
    ]
    await asyncio.to_thread(stack.api, "POST", f"/batches/{batch}/resume")

    async def close_time() -> datetime | None:
        try:
            return (await client.get_workflow_handle(target.workflow_id).describe()).close_time
        except Exception:
            return None

    closed = (await until(close_time, "the child has closed")).timestamp()  # type: ignore[union-attr]
    our_time, their_time = (
        GIVEN_UP_AFTER if at is None else max(0.0, at - closed) for at in await asyncio.gather(*shown)
    )
    return our_time, their_time


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Measure batches of every size in both."""
    figures = list[Figure]()
    async with running_chromium() as browser:
        for size in SIZES:
            figures += await _measure(client, stack, browser, size)
    return figures
