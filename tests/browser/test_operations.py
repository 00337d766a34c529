"""Operations on a selection: brushed on the map or all matches of a filter, counted, changed, confirmed, tracked."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import NewPage, until_live
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

FAILS = {"seconds_from": 0, "seconds_to": 0, "fail_percent": 100}


def all_failed(stack: Stack, count: int) -> str:
    batch = stack.launch(processor="simulate", parameters=FAILS, count=count, plan={"item_attempts": 1, "window": 50})
    stack.wait_for(batch, "failed")
    return batch


async def brush(page: Page, first: int, last: int) -> None:
    """Drag over the map from one cell of its first row to another."""
    view = page.locator(".map-view")
    await view.scroll_into_view_if_needed()
    box = await view.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + 32 * first + 16, box["y"] + 16)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 32 * last + 16, box["y"] + 16, steps=4)
    await page.mouse.up()


async def test_a_brushed_range_is_counted_and_retried_with_other_parameters(stack: Stack, new_page: NewPage) -> None:
    batch = all_failed(stack, 20)
    # The answer 422 is what is tried out.
    page = await new_page(stack, f"/batches/{batch}/", allow=["status of 422"])
    await until_live(page)
    await expect(page.locator("#map")).to_have_attribute("data-state", "ready")
    await brush(page, 3, 9)
    await expect(page.locator(".selection")).to_contain_text("7 selected: 7 failed")
    await page.get_by_role("button", name="Retry…", exact=True).click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("heading")).to_have_text("Retry 7 children?")
    await expect(dialog).to_contain_text("From #4 to #10: 7 children, 7 items, about")
    await dialog.get_by_label("Reason").fill("stock is back")
    await dialog.get_by_text("Change parameters").click()
    await dialog.get_by_label("Failure rate (%)", exact=True).fill("0")
    await expect(dialog.locator("#difference")).to_contain_text("fail_percent")
    await dialog.get_by_label("Max concurrency").evaluate("field => { field.type = 'text'; field.value = 'many' }")
    await dialog.get_by_role("button", name="Retry 7").click()
    await expect(dialog.locator(".has-error")).to_contain_text("Enter a whole number.")
    await expect(dialog.get_by_label("Reason")).to_have_value("stock is back")
    await dialog.get_by_label("Max concurrency").fill("4")
    await dialog.get_by_role("button", name="Retry 7").click()
    await expect(page.locator("#answer")).to_contain_text("Retrying 7 children.")
    await expect(dialog).to_be_hidden()
    await page.goto(f"/batches/{batch}/activity/")
    done = page.locator(".operations")
    await expect(done).to_contain_text("“stock is back”")
    await expect(done).to_contain_text("7 of 7 accepted · 7 fixed · max concurrency 4 · fail_percent: 100")
    await done.get_by_role("link", name="7 of 7 accepted").click()
    await expect(page.locator("#tree tr[data-kind='child'][data-status='completed']")).to_have_count(7)


async def test_select_all_selects_all_matches_of_the_filter_not_only_rows_shown(
    stack: Stack, new_page: NewPage
) -> None:
    batch = all_failed(stack, 105)
    page = await new_page(stack, f"/batches/{batch}/?status=failed")
    await until_live(page)
    await page.locator("#pick-all").check()
    await expect(page.locator(".selection")).to_contain_text("100 selected")
    await page.get_by_role("button", name="Select all 105").click()
    await expect(page.locator(".selection")).to_contain_text("105 selected")
    await page.get_by_role("button", name="Retry…", exact=True).click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("All failed: 105 children, 105 items")
    await dialog.get_by_role("link", name="Cancel", exact=True).click()
    await expect(dialog).to_be_hidden()
    assert stack.batch(batch)["children"]["failed"] == 105
