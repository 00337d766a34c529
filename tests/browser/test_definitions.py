"""Writing a definition as a person does: invalid first, with line and reason; fixed, saved, changed, compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.support.browser import NewPage
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

TEXT = """\
kind: steps
steps:
  - name: fetch
    run: {processor: simulate, input: {x: 1}}
  - name: decide
    if: {ref: fech.attempt, op: ">", value: 1}
    then:
      - name: wait
        sleep: 5
"""
REFUSED = r"status of 422"
"""What Chromium's console says of a form that comes back with errors."""


async def test_fix_a_definition_save_it_twice_and_see_the_changes(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, "/definitions/", allow=[REFUSED])
    await page.get_by_role("link", name="New definition").click()
    editor, preview, gutter = page.locator("#id_text"), page.locator("#preview"), page.locator("#gutter li")
    await editor.fill(TEXT)
    await expect(gutter).to_have_count(10)
    await expect(preview).to_contain_text('There is no step "fech". Did you mean "fetch"?')
    await expect(page.locator("#gutter li.is-wrong")).to_have_count(1)
    await page.get_by_label("Name").fill("Decide nightly")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("alert").filter(has_text="Nothing was saved")).to_be_visible()
    await expect(editor).to_have_value(TEXT)

    await preview.get_by_role("link", name="Line 6").click()
    await expect(editor).to_be_focused()
    chosen = "(text) => text.value.slice(text.selectionStart, text.selectionEnd)"
    assert (await editor.evaluate(chosen)).startswith("fech.attempt")
    await page.keyboard.insert_text('fetch.attempt, op: ">", value: 2}')
    await expect(preview.locator(".outline")).to_contain_text("fetch.attempt > 2")
    await expect(preview.locator(".outline ul ul ul li")).to_have_count(1)
    await expect(page.locator("#gutter li.is-wrong")).to_have_count(0)
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".notice.success")).to_contain_text("Saved Decide nightly as version 1.")

    await page.get_by_role("link", name="Edit").click()
    await editor.fill((await editor.input_value()).replace("sleep: 5", "sleep: 50"))
    await expect(preview).to_contain_text("50 seconds")
    await page.get_by_role("button", name="Save as version 2").click()
    await expect(page.locator("ins")).to_have_text("        sleep: 50")
    await expect(page.locator("del")).to_have_text("        sleep: 5")
    await expect(page.get_by_role("link", name="Launch this")).to_be_visible()


async def test_a_file_is_loaded_into_the_editor(stack: Stack, new_page: NewPage, tmp_path: Path) -> None:
    file = tmp_path / "decide.yaml"
    file.write_text(TEXT.replace("fech", "fetch"))
    page = await new_page(stack, "/definitions/new/", width=390)
    await page.set_input_files("#id_file", str(file))
    await expect(page.locator("#id_text")).to_have_value(file.read_text())
    await expect(page.locator("#preview .outline")).to_contain_text("fetch.attempt > 1")
    scrolls = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(scrolls), "nothing is wider than a phone"


async def test_start_from_an_example_check_and_save_without_scripts(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, "/definitions/new/", java_script_enabled=False)
    await page.get_by_role("link", name="Saga").click()
    await page.get_by_label("Name").fill("Plain saga")
    await page.get_by_role("button", name="Check").click()
    await expect(page.locator("#preview .outline")).to_contain_text("one saga for the batch")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".notice.success")).to_contain_text("Saved Plain saga as version 1.")
