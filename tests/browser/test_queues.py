"""Task queues: their workers, their backlog, and a warning at a launch on a queue that no worker polls."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.browser import NewPage
from tests.support.stack import Stack, free_port

pytestmark = pytest.mark.browser


async def test_an_unpolled_queue_has_a_warning_and_its_backlog_is_shown(stack: Stack, new_page: NewPage) -> None:
    name = f"nobody-{free_port()}"
    page = await new_page(stack, "/launch/simulate/")
    await page.locator("summary", has_text="Advanced").click()
    preview = page.locator("#preview")
    await expect(preview).to_contain_text("Children")
    await expect(preview).not_to_contain_text("No worker polls")
    await page.fill("#id_plan-task_queue", name)
    await expect(preview).to_contain_text(f"No worker polls the task queue “{name}”")
    batch = stack.launch(processor="simulate", count=3, plan={"task_queue": name})
    try:
        await page.goto("/queues/")
        own = page.locator('[data-queue="canopy"]')
        await expect(own.locator("tbody tr").first).to_contain_text("ago")
        await expect(own).to_contain_text("No backlog")
        theirs = page.locator(f'[data-queue="{name}"]')
        await expect(theirs).to_contain_text("3 waiting, the oldest for")
        await expect(theirs).to_contain_text("1 open batch")
        await expect(theirs).to_contain_text(f"canopy worker --queue {name}")
        await expect(page.locator("[data-queue]").first).to_have_attribute("data-queue", name)
    finally:
        stack.api("POST", f"/batches/{batch}/terminate", {"reason": "end of the test"})
        stack.wait_for(batch, "terminated")
    await expect(theirs).not_to_be_attached()
