"""The launch form: how a file is read can be chosen; Enter in a line launches, and Shift+Enter breaks the line."""

from __future__ import annotations

import pytest
from playwright.async_api import FilePayload, Page, expect

from tests.support.browser import NewPage
from tests.support.stack import Stack

pytestmark = pytest.mark.browser


async def test_how_a_file_is_read_can_be_chosen_and_enter_launches(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, "/launch/simulate/", allow=["status of 422"])
    await a_file_is_read_as_chosen(page)
    await page.goto(f"{stack.url}/launch/http_request/")
    await enter_launches_and_shift_enter_breaks_the_line(page)


async def a_file_is_read_as_chosen(page: Page) -> None:
    """Choose delimiter, quotes, encoding and header of a file: the preview shows its rows accordingly."""
    await page.get_by_label("Input format").select_option(label="CSV with a header")
    content = "1:'Grün:Blau'\n2:Rot\n".encode("cp1252")
    given = FilePayload(name="colours.txt", mimeType="text/plain", buffer=content)
    await page.locator("input[type=file]").set_input_files([given])
    await page.get_by_text("Delimiter, quotes, encoding, header").click()
    await page.get_by_label("Delimiter").select_option(label="Colon")
    await page.get_by_label("Quotes").select_option(label="'")
    await page.get_by_label("Encoding").select_option(label="Windows-1252")
    await page.get_by_label("Header", exact=True).select_option(label="None")
    preview = page.locator("#preview")
    await expect(preview).to_contain_text("column_2")
    await expect(preview).to_contain_text("Grün:Blau")
    await page.get_by_label("Delimiter").select_option(label="Detected")
    await expect(preview).not_to_contain_text("column_2")


async def enter_launches_and_shift_enter_breaks_the_line(page: Page) -> None:
    """Press Enter in a parameter's text: the form is sent, and keeps what was typed."""
    await page.get_by_label("Items", exact=True).fill("https://example.org/")
    address = page.get_by_label("URL", exact=True)
    await address.press("End")
    await address.press("Shift+Enter")
    await expect(address).to_have_value("{url}\n")
    await address.fill("")
    await address.press("Enter")
    await expect(page.locator(".field.has-error", has_text="URL")).to_be_visible()
    await expect(page.get_by_label("Items", exact=True)).to_have_value("https://example.org/")
