"""What an operator asks of a batch at night takes two clicks or keys at most, each from the batch page."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import NewPage, choose, main_action, until_live
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

FAILS = {"seconds_from": 0, "seconds_to": 0, "fail_first_attempts": 1}
PLAN = {"item_attempts": 1, "item_backoff": 0}


class Hand:
    """A person at one page, whose clicks and keys are counted from where they started."""

    def __init__(self, page: Page, home: str) -> None:
        self.page, self._home, self.moves = page, home, 0

    async def start(self) -> None:
        """Be at the batch page, with nothing pressed."""
        await self.page.goto(self._home)
        await until_live(self.page)
        self.moves = 0

    async def click(self, selector: str) -> None:
        self.moves += 1
        await self.page.locator(selector).first.click()

    async def press(self, key: str) -> None:
        self.moves += 1
        await self.page.keyboard.press(key)


async def test_five_tasks_take_at_most_two_clicks_or_keys(stack: Stack, new_page: NewPage) -> None:
    items = [{"name": f"order-{number}"} for number in range(120)]
    batch = stack.launch_held(processor="simulate", parameters=FAILS, items=items, key="name", plan=PLAN)
    page = await new_page(stack)
    hand = Hand(page, f"/batches/{batch}/")
    await hand.start()
    await expect(page.locator(".gauge h2")).to_have_text("0 of 120 items succeeded")
    assert hand.moves == 0, "how far it is"
    await main_action(page, "Approve").click()
    await expect(main_action(page, "Retry 120")).to_be_visible()

    await hand.start()
    await hand.click("#summary a:has-text('View')")
    await expect(page.locator("#errors .sample")).to_contain_text("SimulatedFailure")
    assert hand.moves <= 2, "what failed and why"

    await hand.start()
    await hand.press("/")
    await page.keyboard.type("order-117")
    await expect(page.locator("tr[data-kind='child']")).to_have_count(1)
    await expect(page.locator("tr[data-kind='child']")).to_contain_text("order-117")
    assert hand.moves <= 2, "where item X is"

    await hand.start()
    await hand.click("#summary button:has-text('Retry')")
    await expect(page.locator("#answer")).to_contain_text("Retrying 120 children.")
    assert hand.moves <= 2, "retry only what failed"

    await hand.start()
    await hand.click("#tabs a:has-text('Activity')")
    await expect(page.locator("#story .moments")).to_contain_text("operator approved")
    assert hand.moves <= 2, "who did it"


async def test_a_menu_is_used_by_keys_and_discarding_asks_first(stack: Stack, new_page: NewPage) -> None:
    batch = stack.launch_held(processor="simulate", parameters=FAILS, count=1, plan=PLAN)
    page = await new_page(stack, f"/batches/{batch}/", width=768)
    await until_live(page)
    menu = page.locator("#more")
    await page.keyboard.press(".")
    await expect(menu).to_have_attribute("open", "")
    await page.keyboard.press("Escape")
    await expect(menu).not_to_have_attribute("open", "")
    await choose(page, "Terminate…")
    await expect(page.get_by_role("dialog")).to_contain_text("Terminate this batch?")
    for width in (641, 768, 900):
        await page.set_viewport_size({"width": width, "height": 900})
        for tab in ("", "errors/", "timeline/", "results/", "activity/", "settings/"):
            await page.goto(f"/batches/{batch}/{tab}")
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (width, tab)
            await expect(page.locator("#tabs [aria-current]")).to_be_in_viewport()
    stack.api("POST", f"/batches/{batch}/terminate", {})
