"""A schedule as a person creates it: from the launch form, with a preview of its times; trigger, watch, delete."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import NewPage
from tests.support.schedules import distant_hour
from tests.support.stack import Stack

pytestmark = pytest.mark.browser


async def to_the_form(page: Page, stack: Stack, label: str) -> None:
    """Fill in a launch form, and have it scheduled."""
    await page.goto(f"{stack.url}/launch/simulate/")
    await page.select_option("#id_format", "count")
    await page.fill("#id_count", "4")
    await page.fill("#id_label", label)
    await page.fill("#id_parameters-seconds_from", "0")
    await page.fill("#id_parameters-seconds_to", "0.2")
    await page.get_by_role("button", name="Schedule this…").click()
    await expect(page.get_by_role("heading", name="Schedule a launch")).to_be_visible()


async def test_every_weekday_at_seven(stack: Stack, new_page: NewPage) -> None:
    page, at = await new_page(stack, timezone_id="Asia/Tokyo"), f"{distant_hour('Asia/Tokyo')}:30"
    await to_the_form(page, stack, "Morning check")
    times = page.locator(".times li")
    await expect(page.locator("#id_time_zone")).to_have_value("Asia/Tokyo")
    await expect(times.first).to_contain_text("07:00 JST")
    await page.select_option("#id_repeat", "interval")
    await page.fill("#id_every", "90")
    await page.select_option("#id_unit", "minutes")
    await expect(times.first).not_to_contain_text("07:00 JST")
    await page.select_option("#id_repeat", "cron")
    await page.fill("#id_cron", "0 0 30 2 *")
    await expect(page.locator("#times")).to_contain_text("This time never comes: there is no such date.")
    await page.select_option("#id_repeat", "weekdays")
    await page.fill("#id_at", at)
    await expect(times.first).to_contain_text(f"{at} JST")
    await expect(times).to_have_count(10)
    promised = await times.all_inner_texts()
    await page.get_by_label("Queue one").check()
    await page.get_by_role("button", name="Create schedule").click()
    await page.wait_for_url("**/schedules/*/")
    await expect(times).to_have_text(promised)
    await expect(page.locator("main")).to_contain_text(f"Every weekday at {at} Asia/Tokyo")
    await _trigger_and_watch(page)
    await _delete(page)


async def _trigger_and_watch(page: Page) -> None:
    await page.evaluate("window.neverReloaded = true")
    await page.get_by_role("button", name="Trigger now").click()
    await expect(page.locator(".notice.success")).to_contain_text("Triggered")
    row = page.locator(".batches tbody tr")
    await expect(row.locator(".badge")).to_have_text("Completed")
    assert await page.evaluate("window.neverReloaded")
    await row.get_by_role("link", name="Morning check").click()
    by_schedule = page.locator('main a[href^="/schedules/"]')
    await expect(by_schedule).to_have_text("Morning check")
    await by_schedule.click()


async def _delete(page: Page) -> None:
    await page.get_by_role("button", name="Delete…").click()
    await page.get_by_role("button", name="Delete schedule").click()
    await expect(page.locator(".notice.success")).to_contain_text("Deleted. Its batches are kept.")
    await page.get_by_role("link", name="Schedules").first.click()
    await expect(page.locator("main")).not_to_contain_text("Morning check")


async def test_without_scripts_a_button_shows_the_times(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, java_script_enabled=False)
    await to_the_form(page, stack, "Plain")
    await page.select_option("#id_repeat", "daily")
    await page.fill("#id_at", "09:15")
    await page.get_by_role("button", name="Show next launches").click()
    await expect(page.locator("#times li").first).to_contain_text("09:15 UTC")
    await page.get_by_role("button", name="Create schedule").click()
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator(".notice.success")).to_contain_text("Paused")
    await _delete(page)
