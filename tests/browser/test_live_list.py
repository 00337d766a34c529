"""The batch list is live: rows update, new batches are offered, filters are in the address."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import Page, Route, expect

from tests.support.browser import NewPage, until_live
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

SLOW = {"seconds_from": 0.3, "seconds_to": 0.3}


async def test_rows_update_with_their_batches(stack: Stack, new_page: NewPage) -> None:
    batch = stack.launch_held(processor="simulate", parameters=SLOW, count=12, label="Followed", plan={"window": 3})
    page = await new_page(stack)
    await until_live(page)
    row = page.locator(f"#batch-{batch}")
    await expect(row.locator(".badge")).to_have_text("Held")
    stack.approve(batch)
    await expect(row.locator(".badge")).to_have_text("Completed")
    await expect(row.locator(".number")).to_have_text("12 of 12")
    await page.get_by_role("navigation", name="Status").get_by_role("link", name="Completed").first.click()
    await expect(row).to_be_visible()
    await expect(page.locator("#status-tabs [aria-current]")).to_contain_text("Completed")
    await page.get_by_role("columnheader", name="Items").get_by_role("link").click()
    await expect(page.get_by_role("columnheader", name="Items")).to_have_attribute("aria-sort", "descending")
    await expect(row).to_be_visible()
    assert float(await row.locator("rect.completed").get_attribute("width") or 0) == pytest.approx(1000)


async def test_new_batches_are_offered_and_not_inserted(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack)
    await until_live(page)
    batch = stack.launch(processor="simulate", parameters=SLOW, count=1, label="Newcomer")
    await expect(page.locator("#news")).to_contain_text("1 new batch")
    await expect(page.locator(f"#batch-{batch}")).to_have_count(0)
    await page.locator("#news").click()
    await expect(page.locator(".batches tbody tr").first).to_have_attribute("id", f"batch-{batch}")
    await expect(page.locator("#news")).to_be_hidden()


async def test_filters_are_in_the_address_and_survive_going_back(stack: Stack, new_page: NewPage) -> None:
    batch = stack.launch(processor="simulate", parameters=SLOW, count=1, label="Needle in the list")
    other = stack.launch(processor="simulate", parameters=SLOW, count=1, label="Hay")
    page = await new_page(stack)
    await until_live(page)
    await page.get_by_role("searchbox", name="Search").fill("needle")
    await expect(page.locator(f"#batch-{other}")).to_have_count(0)
    await expect(page.locator(f"#batch-{batch}")).to_be_visible()
    assert "q=needle" in page.url
    await page.locator("summary").filter(has_text="Filter").click()
    await page.get_by_role("combobox", name="Processor").focus()
    await page.get_by_role("combobox", name="Processor").select_option("simulate")
    chip = page.locator(".chip.removable")
    await expect(chip).to_contain_text("simulate")
    await expect(page.get_by_role("combobox", name="Processor")).to_be_focused()
    await page.get_by_role("checkbox", name="Search keys and errors too").check()
    await expect(page.locator("#filters .chip.removable")).to_have_count(2)
    await page.go_back()
    await expect(chip).to_have_count(1)
    await chip.click()
    await expect(chip).to_have_count(0)
    await expect(page.locator(f"#batch-{batch}")).to_be_visible()
    assert "processor" not in page.url
    await says_that_it_is_slow(page)


async def says_that_it_is_slow(page: Page) -> None:
    """Search while the answer is held back."""
    released = asyncio.Event()

    async def late(route: Route) -> None:
        await released.wait()
        await route.continue_()

    await page.route(re.compile(r"q=needles"), late)
    await page.get_by_role("searchbox", name="Search").fill("needles")
    notice = page.get_by_text("This search is slow")
    await expect(notice).to_be_visible()
    await expect(notice.get_by_role("button", name="Retry")).to_be_visible()
    released.set()
    await expect(page.get_by_text("No batch matches these filters")).to_be_visible()
    await expect(notice).to_be_hidden()
