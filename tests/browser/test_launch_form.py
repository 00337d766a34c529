"""The launch form: what is wrong is a list of links, how a file is read can be chosen, and Enter in a line launches."""

from __future__ import annotations

import pytest
from playwright.async_api import FilePayload, Page, expect

from tests.support.browser import NewPage
from tests.support.stack import Stack

pytestmark = pytest.mark.browser


async def test_how_a_file_is_read_can_be_chosen_and_enter_launches(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, "/launch/simulate/", allow=["status of 422"])
    await what_does_not_apply_is_hidden_and_what_is_wrong_is_linked(page)
    await a_file_is_read_as_chosen(page)
    await page.goto(f"{stack.url}/launch/http_request/")
    await enter_launches_and_shift_enter_breaks_the_line(page)


async def what_does_not_apply_is_hidden_and_what_is_wrong_is_linked(page: Page) -> None:
    """Submit two wrong fields: the summary has the focus, and its links lead to them, also into a closed section."""
    await expect(page.locator("#sentence")).to_contain_text("200 items in 200 children, 50 at a time")
    tolerated = page.get_by_label("Tolerated failures")
    await expect(tolerated).to_be_hidden()
    await page.get_by_label("When children fail").select_option(label="Tolerate")
    await tolerated.fill("5")
    fold, group = page.locator("summary", has_text="Advanced"), page.get_by_label("Group size")
    await fold.click()
    await expect(page.get_by_label("Pause between groups")).to_be_hidden()
    await group.fill("0")
    await expect(page.get_by_label("Pause between groups")).to_be_visible()
    await page.get_by_label("Failure rate (%)", exact=True).fill("300")
    await page.get_by_role("button", name="Launch").click()
    problems = page.locator("#problems")
    await expect(problems).to_be_focused()
    await expect(problems).to_contain_text("2 fields need fixing. Nothing was launched.")
    await expect(tolerated).to_have_value("5")
    await fold.click()
    await expect(group).to_be_hidden()
    await problems.get_by_role("link", name="Group size: Enter 1 or more.").click()
    await expect(group).to_be_focused()
    await group.fill("")


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
