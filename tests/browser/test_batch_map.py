"""The map in a real browser: hover, keys, filters, timeline, and on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import NewPage, until_live
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

COUNT = 60


async def map_of(page: Page) -> None:
    """Wait until the map has been drawn."""
    await until_live(page)
    await expect(page.locator("#map")).to_have_attribute("data-state", "ready")


async def pixel(page: Page, x: int, y: int) -> list[int]:
    """Return the colour of a place on the map."""
    script = (
        "([x, y]) => [...document.querySelector('.map-view canvas').getContext('2d').getImageData(x, y, 1, 1).data]"
    )
    found: list[int] = await page.evaluate(script, [x, y])
    return found


async def test_cells_of_a_map_are_described_opened_selected_and_narrowed(stack: Stack, new_page: NewPage) -> None:
    items = [{"name": f"item-{number}"} for number in range(COUNT)]
    parameters = {"seconds_from": 0, "seconds_to": 0.01, "fail_percent": 20}
    plan = {"chunk_size": 1, "item_attempts": 1}
    batch = stack.launch(processor="simulate", parameters=parameters, items=items, key="name", plan=plan)
    page = await new_page(stack, f"/batches/{batch}/", allow=["willReadFrequently"])  # it is this test that reads
    await map_of(page)
    stack.wait_for(batch, "completed_with_failures")
    failed = page.locator("#map [data-only='failed'] b")
    numbers = stack.batch(batch)["children"]
    await expect(failed).to_have_text(str(numbers["failed"]))
    await expect(page.locator("#map [data-only='running']")).to_be_hidden()

    position = await opens_a_failed_cell(page)
    await page.get_by_role("button", name="Full-size map").click()
    await filters_and_colours_by_duration(page, position)
    await opens_the_timeline(page)
    await narrows_the_tree(page)


async def opens_a_failed_cell(page: Page) -> int:
    """Point at a cell, go to the next failed one by key and open it; return its position."""
    view, hint = page.locator(".map-view"), page.locator(".map-hint")
    await view.hover(position={"x": 48, "y": 16})
    await expect(hint).to_contain_text(re.compile(r"item-1 #2 · (Completed|Failed) · [\d.]+ s"))
    await view.focus()
    await page.keyboard.press("n")
    await expect(hint).to_contain_text("Failed")
    position = int(re.search(r"#(\d+)", await hint.inner_text())[1]) - 1  # type: ignore[index]
    await page.keyboard.press("Enter")
    await expect(page.locator("#pane h2")).to_contain_text(f"#{position + 1}")
    await steps_through_failures(page)
    await expect(view).to_be_focused()
    return position


async def steps_through_failures(page: Page) -> None:
    """Go to the next failure and back by key: each is in view, as is its row; then open the link again, and close."""
    drawer, row = page.locator(".pane"), page.locator(".tree tr.is-open")
    first = await drawer.get_attribute("data-address")
    for key in ("n", "p"):
        before = await drawer.get_attribute("data-address")
        await page.keyboard.press(key)
        await expect(page.locator(f".pane[data-address='{before}']")).to_have_count(0)
        await expect(drawer).to_be_in_viewport(ratio=0.9)
        await expect(row).to_have_attribute("data-status", "failed")
        await expect(row).to_be_in_viewport()
    assert await drawer.get_attribute("data-address") == first
    assert page.url.endswith(first or "?")
    place, total = map(int, re.findall(r"Failure (\d+) of (\d+)", await drawer.inner_text())[0])
    for key in "nnn":  # faster than they are answered: each counts
        await page.keyboard.press(key)
    await expect(drawer).to_contain_text(f"Failure {(place + 2) % total + 1} of {total}")
    await page.get_by_role("button", name="Copy link").focus()
    await page.keyboard.press("Escape")
    await expect(drawer).to_have_count(0)


async def filters_and_colours_by_duration(page: Page, position: int) -> None:
    """Show completed cells only, and all again; then colour cells by duration. `position` is a failed one's."""
    at = (position * 16 + 1, 1)
    before = await pixel(page, *at)
    await page.locator("#map [data-only='completed']").click()
    assert await pixel(page, *at) != before
    await page.locator("#map [data-only='completed']").click()
    assert await pixel(page, *at) == before
    await page.get_by_role("button", name="Duration").click()
    await expect(page.locator(".ramp")).to_contain_text("median")
    assert await pixel(page, *at) != before


AXIS = """async () => {
  const loaded = performance.getEntriesByType("resource").map((each) => each.name);
  const { ticksOf, tickWords } = await import(loaded.find((name) => name.includes("timeline_layout")));
  const { step, ticks } = ticksOf({ parts: [{ start: 0, end: 60, x: 0, scale: 20 }] });
  return [step, ticks.length, ticks.at(-1), tickWords(90, step)];
}"""
"""The ticks of a minute over 1,200 pixels, and how a time is written between such ticks."""


async def opens_the_timeline(page: Page) -> None:
    """Open the timeline, and sort it."""
    await page.locator("#tabs").get_by_role("link", name="Timeline").click()
    await expect(page.locator("#timeline [data-said]")).to_contain_text(f"{COUNT} children over")
    height = await page.locator("#timeline canvas").evaluate("canvas => canvas.height")
    assert height >= 264
    await page.get_by_role("button", name="Slowest first").click()
    assert await page.evaluate(AXIS) == [5, 13, [1200, 60], "1 m 30 s"]
    pressed = page.locator("#timeline [aria-pressed='true']")
    await expect(pressed).to_have_text("Slowest first")
    await page.locator("#tabs").get_by_role("link", name="Tree").click()
    await map_of(page)


async def narrows_the_tree(page: Page) -> None:
    """Show in the tree the children of a row of the map's table."""
    await page.get_by_role("button", name="Full-size map").click()
    await page.locator("#map-table summary").click()
    await page.locator("#map-table").get_by_role("link", name="#1–3").click()
    await expect(page.locator("#tree tr[data-kind='child']")).to_have_count(3)
    assert page.url.endswith("?span=0-2")


async def test_a_map_fits_a_phone(stack: Stack, new_page: NewPage) -> None:
    batch = stack.launch(
        processor="simulate", parameters={"seconds_from": 0, "seconds_to": 0}, count=COUNT, plan={"chunk_size": 1}
    )
    page = await new_page(stack, f"/batches/{batch}/", width=390)
    await map_of(page)
    stack.wait_for(batch, "completed")
    await expect(page.locator("#map [data-only='completed'] b")).to_have_text(str(COUNT))
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    child = stack.nodes(batch, kind="child")[-1]
    await page.goto(f"/batches/{batch}/nodes/{child['id']}/")  # a shared link
    await expect(page.locator(".pane h2")).to_be_in_viewport()
    await expect(page.locator("#node-{id}".format(**child))).to_be_in_viewport()
