"""The batch page by number of children: first paint, usable, what a click takes to the next paint, shifts, and size."""

from __future__ import annotations

import gzip

from playwright.async_api import Page
from temporalio.client import Client

from tests.benchmarks.report import Figure
from tests.benchmarks.shell import run_in_django
from tests.support.browser import log_in, running_chromium
from tests.support.stack import Stack

SIZES = (60, 2_000, 20_000, 100_000)

MOST_SHIFT = 0.05
LONGEST_CLICK = 200

WATCH_SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""

CLICK_TO_PAINT = """
([clicked, shown]) => new Promise((resolve) => {
  const began = performance.now();
  const painted = () => requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
  const look = () => (document.querySelector(shown) ? painted() : requestAnimationFrame(look));
  document.querySelector(clicked).click();
  look();
})
"""
"""Clicks, and returns the milliseconds until a frame was painted with what the click shows."""

PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"

CLICKS = {
    "filter": ("#tree .chip[data-status='pending']", "#tree .chip[data-status='pending'][aria-current]"),
    "no filter": ("#tree .chip", "#tree .chip[aria-current]:first-of-type"),
    "expand": (".tree tr.run .twist", ".tree tr[aria-level='3']"),
    "drawer": (".tree tr[data-kind] .open", "#pane > .pane"),
}
"""What is clicked, and what it shows."""

READY = "#map[data-state='ready']"


async def _of_size(stack: Stack, page: Page, children: int) -> list[Figure]:
    batch = run_in_django(stack, f"batch_with_failures({children})")
    address = f"{stack.url}/batches/{batch}/"
    await page.goto(address)  # once, so that both servers are warm
    await page.wait_for_selector(READY)
    await page.goto("about:blank")
    response = await page.goto(address)
    assert response is not None
    await page.wait_for_selector(READY)
    usable = await page.evaluate("performance.now()")
    size = f"{children:,} children"
    figures = [
        Figure(f"{size}: first contentful paint in ms", await page.evaluate(PAINTED), 500),
        Figure(f"{size}: usable in ms", usable, 1_000),
        Figure(f"{size}: layout shift at load", await page.evaluate("window.shift"), MOST_SHIFT),
        Figure(f"{size}: page in kB, compressed", len(gzip.compress(await response.body(), 6)) / 1024, 40),
    ]
    for name, (clicked, shown) in CLICKS.items():
        if await page.locator(clicked).count():
            took = await page.evaluate(CLICK_TO_PAINT, [clicked, shown])
            figures.append(Figure(f"{size}: {name} to the next paint in ms", took, LONGEST_CLICK))
    return figures


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Measure pages of batches that do not change."""
    figures = list[Figure]()
    async with running_chromium() as browser:
        context = await browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900})
        page = await context.new_page()
        await page.add_init_script(WATCH_SHIFTS)
        await log_in(page, "/batches/", stack.login)
        for children in SIZES:
            figures += await _of_size(stack, page, children)
    return figures
