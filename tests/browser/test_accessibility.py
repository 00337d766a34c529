"""WCAG 2.2 AA: axe finds nothing on any page, light or dark, wide or narrow, with panes and dialogs open."""

from __future__ import annotations

from typing import Literal, NamedTuple

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page, expect

from tests.support.browser import NewPage, until_live
from tests.support.stack import VIEWER, Stack

pytestmark = pytest.mark.browser

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {"resultTypes": ["violations"], "runOnly": {"type": "tag", "values": RULES}, "preload": False}
"""Without the style sheets fetched once more: only rules that are off, and such about media, read them."""

AT_ONCE = """
const sheet = new CSSStyleSheet();
sheet.replaceSync("*, *::before, *::after { transition: none !important }");
document.adoptedStyleSheets.push(sheet);
"""
"""Has a page change its look at once: with reduced motion, too, colours take a frame for each element above another."""


class Look(NamedTuple):
    """A window, and its colours."""

    width: int
    height: int
    scheme: Literal["light", "dark"]


WIDE, NARROW = Look(1440, 900, "light"), Look(390, 844, "dark")

PAGES = [
    "/",
    "/batches/",
    "/batches/?status=paused",
    "/launch/",
    "/launch/simulate/",
    "/launch/http_request/",
    "/schedules/",
    "/definitions/",
    "/definitions/new/",
    "/watch/",
    "/queues/",
    "/patterns/",
    "/notifications/",
    "/tokens/",
    "/retention/?preview=1",
    "/password/",
    "/help/",
    "/batches/?columns=status,items,rate,left,took,ended,note",
]
"""Besides those of a batch; some of them empty."""

OF_A_BATCH = [
    *("", "?status=failed", "?q=nothing", "errors/", "timeline/", "results/", "activity/", "settings/"),
    *("compare/", "items/0/"),
]


async def find_nothing(page: Page, where: str) -> None:
    """Assert that axe has nothing to say of a page as it is now, wide and light, then narrow and dark, then as before.

    A page is loaded once for both: what differs between them is style.
    """
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE_SCRIPT)
        await page.evaluate(AT_ONCE)
    for look in (WIDE, NARROW):
        await wear(page, look)
        found = (await page.evaluate("options => axe.run(options)", OPTIONS))["violations"]
        said = [
            (each["id"], [(node["target"], node["failureSummary"]) for node in each["nodes"][:3]]) for each in found
        ]
        assert said == [], f"{where} {look}"
    await wear(page, WIDE)


async def fits(page: Page, where: str) -> None:
    """Assert that nothing has to be scrolled sideways: on a phone, on tablets, and at a zoom of 200 %."""
    for width in (390, 641, 720, 900):
        await page.set_viewport_size({"width": width, "height": 900})
        beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert beyond <= 0, f"{where} {width}"
    await wear(page, WIDE)


async def wear(page: Page, look: Look) -> None:
    """Give a page another look."""
    await page.set_viewport_size({"width": look.width, "height": look.height})
    await page.emulate_media(color_scheme=look.scheme)


@pytest.fixture(scope="module")
def batch(stack: Stack) -> str:
    """A batch with failures, tags and a note, and one before it."""
    plan = {"item_attempts": 1}
    for percent in (10, 40):
        parameters = {"seconds_from": 0, "seconds_to": 0.01, "fail_percent": percent}
        made = stack.launch(processor="simulate", parameters=parameters, count=30, plan=plan, label="Nightly")
        stack.wait_for(made, "completed_with_failures")
    return made


async def test_axe_finds_nothing_on_any_page(stack: Stack, new_page: NewPage, batch: str) -> None:
    page = await new_page(stack, allow=["status of 404"])
    for path in (*PAGES, *(f"/batches/{batch}/{rest}" for rest in OF_A_BATCH), "/nothing-here/"):
        await page.goto(path)
        await page.wait_for_load_state("networkidle")
        await find_nothing(page, path)
        await fits(page, path)


async def test_axe_finds_nothing_in_panes_dialogs_and_expanded_sections(
    stack: Stack, new_page: NewPage, batch: str
) -> None:
    page = await new_page(stack, f"/batches/{batch}/")
    await until_live(page)
    await page.get_by_role("button", name="Full-size map").click()
    await page.locator("#map-table >> summary").first.click()
    await expect(page.locator("#map-table table")).to_be_visible()
    await find_nothing(page, "unfolded")
    await page.locator("#more > summary").click()  # it covers a part of what is below it, which is narrow on a phone
    assert (await page.evaluate("options => axe.run(options)", OPTIONS))["violations"] == []
    await page.keyboard.press("?")
    await expect(page.locator("#key-help")).to_be_visible()
    await find_nothing(page, "keys")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("option").first).to_be_visible()
    await find_nothing(page, "palette")
    await page.keyboard.press("Escape")
    await page.locator("#actions").get_by_role("button", name="Retry with options…").click()
    await expect(page.locator("#operation-dialog")).to_be_visible()
    await page.get_by_text("Change parameters").click()
    await find_nothing(page, "operation")
    await page.keyboard.press("Escape")
    await page.locator("tr[data-kind='child'] .open").first.click()
    await expect(page.locator("#pane h2")).to_be_visible()
    await find_nothing(page, "pane")


async def test_axe_finds_nothing_for_a_viewer_and_at_the_login(stack: Stack, new_page: NewPage, batch: str) -> None:
    page = await new_page(stack, f"/batches/{batch}/", login=VIEWER)
    await find_nothing(page, "viewer")
    await page.locator(".account > summary").click()
    await find_nothing(page, "account")
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("Password")).to_be_visible()
    await find_nothing(page, "login")
