"""A German browser gets a German page that stays German while it updates, and a person may choose English."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.support.browser import NewPage, until_live
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

SLOW = {"seconds_from": 0.2, "seconds_to": 0.4, "fail_percent": 30, "seed": 3}


async def test_a_live_page_is_german_until_a_person_chooses_english(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, locale="de-DE")
    batch = stack.launch(processor="simulate", parameters=SLOW, count=12, plan={"window": 2, "item_attempts": 1})
    await page.goto(f"/batches/{batch}/")
    await expect(page.locator("#live")).to_have_text("Live")
    await expect(page.locator("[data-field='badge']").first).to_have_text("Teilweise fehlgeschlagen")
    root = page.locator("#tree tr[data-kind='root']")
    await expect(root.locator("[data-field='error']")).to_have_text(re.compile(r"^12 von 12 · \d+ fehlgeschlagen$"))
    await expect(root.locator("[data-field='status']")).to_have_text("Teilweise fehlgeschlagen")
    await expect(page.locator("[data-field='rate']")).to_contain_text(",")
    await page.locator(".account > summary").click()
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("#actions").get_by_role("button", name="Retry with options…")).to_be_visible()
    await until_live(page)
