"""A pipeline as a person uses it: from the example to its stages, live, with items that passed and were dropped."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.browser import NewPage, until_live
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

STAGES = """\
kind: pipeline
stages:
  - name: validate
    processor: simulate
    parameters: {seconds_from: 0.1, seconds_to: 0.4, fail_percent: 30}
    plan: {chunk_size: 1, item_attempts: 1, window: 4}
    keep: {ref: result.seconds, op: "<", value: 0.3}
  - name: process
    processor: simulate
    parameters: {seconds_from: 0.1, seconds_to: 0.4}
    plan: {chunk_size: 1}
"""
BAD_ROW = "order,amount\n" + "".join(f"A-{number},{number}\n" for number in range(20)) + "broken\n"


async def test_launch_a_pipeline_over_a_file_with_a_bad_row_and_watch_its_stages(
    stack: Stack, new_page: NewPage
) -> None:
    page = await new_page(stack, "/definitions/new/", allow=[r"status of 422"])
    await page.locator("#id_text").fill(STAGES)
    await page.get_by_label("Name").fill("Orders")
    await expect(page.locator("#preview .outline")).to_contain_text("keeps what has result.seconds < 0.3")
    await page.get_by_role("button", name="Save").click()
    await page.get_by_role("link", name="Launch this version").click()
    await page.get_by_label("Input format").select_option("csv")
    await page.get_by_label("Items", exact=True).fill(BAD_ROW)
    await expect(page.locator("#preview")).to_contain_text("Line 22")
    await page.get_by_role("button", name="Launch").click()
    await expect(page.locator("[role=alert]", has_text="Some rows are invalid")).to_be_visible()
    await page.get_by_label("Leave out 1 invalid row").check()
    await page.get_by_role("button", name="Launch").click()
    await page.wait_for_url("**/batches/*/")
    await until_live(page)
    stages = page.locator("tr[data-kind='stage']")
    await expect(stages.first).to_contain_text("validate")
    await expect(stages).to_have_count(2)
    await expect(stages.nth(1)).to_have_attribute("data-status", "completed")
    await expect(stages.first.locator("[data-field='note']")).to_contain_text("passed on")
    await expect(stages.first.locator("[data-field='note']")).to_contain_text("dropped")
    await expect(page.locator("[data-field='badge']")).to_contain_text("Partially failed")
    await stages.first.locator(".twist").click()
    await expect(page.locator("tr[data-kind='child'][data-status='failed']").first).to_be_visible()
    if await page.locator("tr.run").count():  # many have completed
        await page.locator("tr.run .twist").click()
    await expect(page.locator("tr[data-kind='child']")).to_have_count(20)
    await stages.first.locator("a.open").click()
    await expect(page.locator("#pane")).to_contain_text("Dropped by validate: result.seconds < 0.3 is not met.")
    await expect(page.locator("#pane")).to_contain_text("Failed: SimulatedFailure")
