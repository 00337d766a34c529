"""The tree by keyboard, as the ARIA treegrid pattern has it."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from playwright.async_api import Page, Route, WebSocketRoute, expect

from tests.support.browser import NewPage, until_live
from tests.support.stack import Stack
from tests.support.waiting import until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def parted(stack: Stack) -> str:
    """Return a batch of 1,200 children below three partitions, which stands still."""
    slow = {"seconds_from": 600, "seconds_to": 600}
    batch = stack.launch(processor="simulate", parameters=slow, count=1_200, plan={"window": 1, "item_timeout": 900})
    stack.wait_for(batch, "running")
    return batch


async def focused(page: Page) -> dict[str, str]:
    """Return the data attributes of the focused row."""
    found: dict[str, str] = await page.evaluate("({...document.activeElement.dataset})")
    return found


async def test_arrows_move_expand_and_collapse(stack: Stack, parted: str, new_page: NewPage) -> None:
    page = await new_page(stack, f"/batches/{parted}/")
    await until_live(page)
    await page.locator("tr[data-kind='root']").focus()
    await page.keyboard.press("ArrowDown")
    partition = (await focused(page))["node"]
    row = page.locator(f"#node-{partition}")
    await expect(row).to_have_attribute("aria-expanded", "false")
    await page.keyboard.press("ArrowRight")
    await expect(row).to_have_attribute("aria-expanded", "true")
    await expect(page.locator("tr[aria-level='3'][data-kind='child']")).to_have_count(100)
    await page.keyboard.press("ArrowRight")
    assert (await focused(page))["kind"] == "child"
    await page.keyboard.press("ArrowLeft")
    assert (await focused(page))["node"] == partition
    await page.keyboard.press("ArrowLeft")
    await expect(row).to_have_attribute("aria-expanded", "false")
    await expect(page.locator("tr[aria-level='3']")).to_have_count(0)
    await page.keyboard.press("ArrowLeft")
    assert (await focused(page))["kind"] == "root"
    await page.keyboard.press("ArrowLeft")
    await expect(row).to_be_hidden()
    await page.keyboard.press("ArrowRight")
    await expect(row).to_be_visible()


async def test_home_end_space_and_enter(stack: Stack, parted: str, new_page: NewPage) -> None:
    page = await new_page(stack, f"/batches/{parted}/")
    await until_live(page)
    await page.locator("tr[data-kind='root']").focus()
    await page.keyboard.press("End")
    last = await focused(page)
    assert last["kind"] == "partition"
    await page.keyboard.press("Space")
    await expect(page.locator(f"#node-{last['node']}")).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Home")
    assert (await focused(page))["kind"] == "root"
    await page.keyboard.press("ArrowDown")
    chosen = (await focused(page))["node"]
    await page.keyboard.press("Enter")
    await expect(page.locator(f".pane[data-node='{chosen}']")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator(".pane")).to_have_count(0)
    assert (await focused(page))["node"] == chosen


async def test_one_row_is_in_the_tab_order(stack: Stack, parted: str, new_page: NewPage) -> None:
    page = await new_page(stack, f"/batches/{parted}/")
    await until_live(page)
    assert await page.locator("#tree tbody [tabindex='0']").count() == 1
    inside = "#tree tbody :is(a, input):not([tabindex='-1'])"
    assert await page.locator(inside).count() == 0


async def test_a_parent_expanded_while_the_tree_reloads_stays_expanded(
    stack: Stack, parted: str, new_page: NewPage
) -> None:
    page = await new_page(stack)
    sockets, deltas, may_answer = list[WebSocketRoute](), list[str](), asyncio.Event()

    def listen(socket: WebSocketRoute) -> None:
        def pass_on(message: str | bytes) -> None:
            deltas.extend([str(message)] if '"delta"' in str(message) else [])
            socket.send(message)

        socket.connect_to_server().on_message(pass_on)
        sockets.append(socket)

    async def has_changed() -> bool:
        return bool(deltas)

    async def hold(route: Route) -> None:
        await may_answer.wait()
        await route.continue_()

    await page.route_web_socket(re.compile("/ws/batches/"), listen)
    await page.route(re.compile(r"/nodes/\?$"), hold)
    await page.goto(f"/batches/{parted}/")
    await until_live(page)
    stack.api("POST", f"/batches/{parted}/window", {"window": 2})
    await until(has_changed, "a delta")
    async with page.expect_request(re.compile(r"/nodes/\?$")):
        sockets[-1].send(json.dumps(json.loads(deltas[-1]) | {"reload": True}))
    await page.locator("tr[data-kind='partition'] .twist").first.click()
    may_answer.set()
    await expect(page.locator("#tree .pager")).to_contain_text("1–100 of 500")


async def test_pages_of_a_partition_follow_each_other(stack: Stack, parted: str, new_page: NewPage) -> None:
    page = await new_page(stack, f"/batches/{parted}/")
    await until_live(page)
    await page.locator("tr[data-kind='partition'] .twist").first.click()
    await expect(page.locator("#tree .pager")).to_contain_text("1–100 of 500")
    await page.locator(".pager a[rel='next']").click()
    await expect(page.locator("#tree .pager")).to_contain_text("101–200 of 500")
    await expect(page.locator("tr[aria-level='3'][data-kind='child']")).to_have_count(100)
