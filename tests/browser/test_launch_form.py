"""The launch form's texts of one line: Enter launches, Shift+Enter breaks the line."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.browser import NewPage
from tests.support.stack import Stack

pytestmark = pytest.mark.browser


async def test_enter_launches_and_shift_enter_breaks_the_line(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, "/launch/http_request/", allow=["status of 422"])
    await page.get_by_label("Items", exact=True).fill("https://example.org/")
    address = page.get_by_label("URL", exact=True)
    await address.press("End")
    await address.press("Shift+Enter")
    await expect(address).to_have_value("{url}\n")
    await address.fill("")
    await address.press("Enter")
    await expect(page.locator(".field.has-error", has_text="URL")).to_be_visible()
    await expect(page.get_by_label("Items", exact=True)).to_have_value("https://example.org/")
