"""The command palette in a browser: opened by its keys, moved in by arrows, and its button without scripts."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.browser import NewPage
from tests.support.stack import Stack

pytestmark = pytest.mark.browser


async def test_it_finds_a_batch_sets_the_theme_and_gives_the_focus_back(stack: Stack, new_page: NewPage) -> None:
    batch = stack.launch_held(processor="simulate", count=1, label="Palette target", plan={})
    page = await new_page(stack, "/queues/")
    await page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Search batches, pages and actions")
    await expect(box).to_be_focused()
    await box.fill("palette target")
    first = page.get_by_role("option").first
    await expect(first).to_contain_text("Palette target")
    await expect(first).to_have_attribute("aria-selected", "true")
    await expect(box).to_have_attribute("aria-activedescendant", await first.get_attribute("id") or "")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/batches/{batch}/")
    stack.approve(batch)
    await page.get_by_role("button", name="Search and commands").click()
    await box.fill("theme")
    await expect(page.get_by_role("option")).to_have_count(3)
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_role("option", name="Theme: dark")).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Enter")
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await expect(page.get_by_role("button", name="Search and commands")).to_be_focused()
    await page.keyboard.press("Control+k")
    await page.keyboard.press("Escape")
    await expect(box).to_be_hidden()
