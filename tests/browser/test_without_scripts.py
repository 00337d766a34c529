"""Pages work without JavaScript as far as a page can: filters, branches, panes and buttons are links and forms."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.browser import NewPage, choose
from tests.support.stack import Stack

pytestmark = pytest.mark.browser


async def test_filter_open_a_child_retry_it_and_the_rest_from_home(stack: Stack, new_page: NewPage) -> None:
    parameters = {"seconds_from": 0.01, "seconds_to": 0.05, "fail_first_attempts": 1}
    plan = {"item_attempts": 1, "item_backoff": 0}
    batch = stack.launch(processor="simulate", parameters=parameters, count=3, label="Plain", plan=plan)
    stack.wait_for(batch, "failed")
    page = await new_page(stack, java_script_enabled=False)
    await page.get_by_role("searchbox", name="Search").fill("Plain")
    await page.get_by_role("button", name="Apply").click()
    await page.get_by_role("link", name="Plain").click()
    await page.locator(".chip[data-status='failed']").click()
    await page.locator("tr[data-kind='child'] .open").first.click()
    await expect(page.locator(".pane .failure")).to_contain_text("SimulatedFailure")
    await page.get_by_role("button", name="Retry this child").click()
    await expect(page.locator(".notice.success")).to_contain_text("Retrying 1 child.")
    await page.goto("/")
    row = page.locator(f"#batch-{batch}")
    await row.locator(".assign > summary").click()
    await row.get_by_role("combobox", name="Assign to").select_option(stack.login["username"])
    await row.get_by_role("button", name="Assign").click()
    await expect(row.locator(".assign > summary")).to_contain_text(stack.login["username"])
    await row.get_by_role("button", name="Retry 2").click()
    await expect(page.locator(".notice.success")).to_contain_text("Retrying 2 children.")
    stack.wait_for(batch, "completed")
    await page.goto("/")
    await expect(page.locator(f"[data-section='ended'] #batch-{batch}")).to_be_visible()


async def test_expand_a_partition_and_cancel_with_a_confirmation(stack: Stack, new_page: NewPage) -> None:
    slow = {"seconds_from": 600, "seconds_to": 600}
    plan = {"window": 1, "item_timeout": 900}
    batch = stack.launch(processor="simulate", parameters=slow, count=1_001, plan=plan)
    stack.wait_for(batch, "running")
    page = await new_page(stack, f"/batches/{batch}/", java_script_enabled=False)
    await page.locator("tr[data-kind='partition'] .twist").first.click()
    await expect(page.locator("tr[aria-level='3'][data-kind='child']")).to_have_count(100)
    await choose(page, "Cancel…")
    await page.get_by_role("button", name="Cancel batch").click()
    await expect(page.locator(".notice.success")).to_contain_text("Cancel requested")
    stack.wait_for(batch, "canceled")
