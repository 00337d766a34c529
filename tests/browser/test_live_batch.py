"""The batch page is live: rows, counts and buttons update without a reload."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from tests.support.browser import WEB_GONE, Console, NewPage, choose, main_action, until_live
from tests.support.stack import VIEWER, Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

QUICK = {"seconds_from": 0.05, "seconds_to": 0.3}
NO_RETRY = {"item_attempts": 1, "item_backoff": 0}


def row(page: Page, position: int) -> str:
    """Return the selector of a child's row."""
    return f"tr[data-kind='child']:has(.place:text-is('#{position + 1}'))"


async def count_loads(page: Page) -> None:
    """Mark the document, so that a reload shows."""
    await page.evaluate("window.isSameDocument = true")


async def test_children_close_and_counts_follow_without_a_reload_in_two_browsers(
    stack: Stack, new_page: NewPage
) -> None:
    batch = stack.launch_held(processor="simulate", parameters=QUICK, count=30, plan={"window": 5})
    first, second = await new_page(stack, f"/batches/{batch}/"), await new_page(stack, f"/batches/{batch}/")
    for page in (first, second):
        await until_live(page)
        await count_loads(page)
    stack.approve(batch)
    for page in (first, second):
        await expect(page.locator("h1 .badge")).to_have_text("Completed")
        await expect(page.locator("tr[data-kind='child'][data-status='completed']")).to_have_count(30)
        await expect(page.locator(".gauge h2")).to_have_text("30 of 30 items succeeded")
        await expect(page).to_have_title(re.compile(r"^Completed – "))
        await expect(page.locator("link[rel=icon]")).to_have_attribute("href", re.compile("^data:image/svg"))
        await expect(page.locator("tr[data-kind='root'] .status")).to_have_text("Completed")
        await expect(main_action(page, "Pause")).to_be_hidden()
        await expect(page.locator("#actions").get_by_role("link", name="View results")).to_be_visible()
        assert await page.evaluate("window.isSameDocument")


async def test_an_item_is_found_by_its_key_while_typing_and_stays_live(stack: Stack, new_page: NewPage) -> None:
    items = [{"name": f"order-{number}"} for number in range(120)]
    slow = {"seconds_from": 0.3, "seconds_to": 0.3}
    batch = stack.launch(processor="simulate", parameters=slow, items=items, key="name", plan={"window": 10})
    page = await new_page(stack, f"/batches/{batch}/")
    await until_live(page)
    search = page.get_by_label("Find children by item key or id")
    await search.press_sequentially("order-117")
    await expect(page.locator("tr[data-kind='child']")).to_have_count(1)
    await expect(search).to_be_focused()
    found = page.locator(row(page, 117))
    await expect(found).to_have_attribute("data-status", "completed")
    await search.fill("nothing like it")
    await expect(page.locator("#tree .none")).to_have_text("No key contains “nothing like it”.")
    await page.locator("#tree .chip", has_text="All").click()
    await expect(page.locator("tr[data-kind='child']")).to_have_count(100)
    await expect(search).to_have_value("")


async def test_failed_children_are_retried_in_place_and_the_old_error_stays_readable(
    stack: Stack, new_page: NewPage
) -> None:
    batch = stack.launch(
        processor="simulate", parameters={**QUICK, "fail_first_attempts": 1}, count=8, plan={"window": 4, **NO_RETRY}
    )
    stack.wait_for(batch, "failed")
    page = await new_page(stack, f"/batches/{batch}/")
    await until_live(page)
    order = await page.locator("tr[data-kind='child']").evaluate_all("rows => rows.map(row => row.id)")
    await expect(page.locator(f"{row(page, 3)} .error")).to_contain_text("SimulatedFailure")
    await expect(page.locator("#summary .said")).to_contain_text("8 failed, 1 cause: ")
    await main_action(page, "Retry 8").click()
    await expect(page.locator("#answer")).to_contain_text("Retrying 8 children.")
    await expect(page.locator("h1 .badge")).to_have_text("Completed")
    await expect(page.locator(f"{row(page, 3)} .attempt")).to_have_text("2")
    assert await page.locator("tr[data-kind='child']").evaluate_all("rows => rows.map(row => row.id)") == order
    await expect(main_action(page, "Retry 0")).to_be_hidden()
    await expect(page.locator("#summary .said")).to_have_text("Nothing failed.")
    await page.locator(f"{row(page, 3)} .open").click()
    await expect(page.locator(".attempts > li")).to_have_count(2)
    await expect(page.locator(".attempts > li").nth(1)).to_contain_text("SimulatedFailure")
    await expect(page.locator(".earlier")).to_contain_text("SimulatedFailure")
    await page.goto(f"/batches/{batch}/activity/")
    await expect(page.locator("#story .moments")).to_contain_text("operator retried")


async def test_only_the_selected_children_are_retried(stack: Stack, new_page: NewPage) -> None:
    batch = stack.launch(
        processor="simulate", parameters={**QUICK, "fail_first_attempts": 1}, count=5, plan={"window": 5, **NO_RETRY}
    )
    stack.wait_for(batch, "failed")
    page = await new_page(stack, f"/batches/{batch}/")
    await until_live(page)
    for position in (1, 3):
        await page.locator(f"{row(page, position)} .pick input").check()
    await expect(page.locator(".selection")).to_contain_text("2 selected")
    await page.get_by_role("button", name="Retry selected").click()
    await expect(page.locator("#answer")).to_contain_text("Retrying 2 children.")
    await expect(page.locator(".selection")).to_be_hidden()
    await expect(page.locator("tr[data-kind='child'][data-status='completed']")).to_have_count(2)
    await expect(page.locator("tr[data-kind='child'][data-status='failed']")).to_have_count(3)


async def test_pause_window_resume_and_cancel_by_button(stack: Stack, new_page: NewPage) -> None:
    slow = {"seconds_from": 600, "seconds_to": 600}
    batch = stack.launch(processor="simulate", parameters=slow, count=20, plan={"window": 3, "item_timeout": 900})
    page = await new_page(stack, f"/batches/{batch}/")
    await expect(page.locator("h1 .badge")).to_have_text("Running")
    await main_action(page, "Pause").click()
    await expect(page.locator("h1 .badge")).to_have_text("Paused")
    await page.get_by_label("Max concurrency").fill("7")
    await page.get_by_role("button", name="Change").click()
    await expect(page.locator("#answer")).to_contain_text("Max concurrency set to 7")
    await main_action(page, "Resume").click()
    await expect(page.locator("h1 .badge")).to_have_text("Running")
    await choose(page, "Cancel…")
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("link", name="Keep running").click()
    await expect(dialog).to_be_hidden()
    await choose(page, "Cancel…")
    await dialog.get_by_role("button", name="Cancel batch").click()
    await expect(page.locator("h1 .badge")).to_have_text("Canceled")
    await expect(main_action(page, "Retry all incomplete 20")).to_be_visible()
    await page.locator("#tabs").get_by_role("link", name="Activity").click()
    for entry in ("(first login) launched", "paused", "changed max concurrency", "resumed", "canceled"):
        await expect(page.locator("#story")).to_contain_text(f"operator {entry}")


async def test_failures_beyond_the_page_are_offered_by_a_chip(stack: Stack, new_page: NewPage) -> None:
    batch = stack.launch_held(
        processor="simulate",
        parameters={"seconds_from": 0.02, "seconds_to": 0.05, "fail_percent": 30},
        count=120,
        plan={"window": 5, **NO_RETRY},
    )
    page = await new_page(stack, f"/batches/{batch}/")
    await until_live(page)
    stack.approve(batch)
    chip = page.locator("#news")
    await expect(chip).to_have_text(re.compile(r"\d+ new failures?"))
    await expect(page.locator("h1 .badge")).to_have_text("Partially failed")
    await chip.click()
    failed = stack.batch(batch)["children"]["failed"]
    await expect(page.locator("tr[data-kind='child'][data-status='failed']")).to_have_count(failed)
    await expect(page.locator("tr[data-kind='child']").first).to_have_attribute("data-status", "failed")
    await expect(chip).to_be_hidden()


async def test_a_lost_connection_is_shown_and_caught_up_with(
    fragile_stack: Stack, new_page: NewPage, console: Console
) -> None:
    console.allow(WEB_GONE)
    batch = fragile_stack.launch(
        processor="simulate", parameters={"seconds_from": 0.3, "seconds_to": 0.3}, count=20, plan={"window": 1}
    )
    page = await new_page(fragile_stack, f"/batches/{batch}/")
    await until_live(page)
    await count_loads(page)
    fragile_stack.web.kill()
    await expect(page.locator("#lost")).to_have_text(re.compile(r"Connection lost, stale since \d\d:\d\d:\d\d"))
    fragile_stack.web.start()
    await until_live(page)
    await expect(page.locator("#lost")).to_be_hidden()
    await expect(page.locator("h1 .badge")).to_have_text("Completed")
    await expect(page.locator("tr[data-kind='child'][data-status='completed']")).to_have_count(20)
    assert await page.evaluate("window.isSameDocument")


async def test_a_connection_that_is_late_says_so_and_a_silent_one_counts_as_lost(
    stack: Stack, new_page: NewPage, console: Console
) -> None:
    console.allow("WebSocket")
    batch = stack.launch(processor="simulate", parameters=QUICK, count=1)
    page = await new_page(stack, "/batches/")
    tick = {"type": "tick", "now": "2026-01-02T10:00:00Z", "late_since": "2026-01-02T09:58:07Z"}
    await page.route_web_socket(re.compile("/ws/batches/.+"), lambda socket: socket.send(json.dumps(tick)))
    await page.goto(f"/batches/{batch}/")
    await expect(page.locator("#live")).to_have_attribute("data-state", "late")
    await expect(page.locator("#lost")).to_contain_text(re.compile(r"delayed since \d\d:58:07"))
    await expect(page.locator("#live")).to_have_attribute("data-state", "lost")
    await expect(page.locator("#lost")).to_contain_text("Connection lost")


async def test_failures_before_the_page_connected_are_shown(stack: Stack, new_page: NewPage) -> None:
    parameters = {"seconds_from": 0, "seconds_to": 0, "fail_percent": 100}
    batch = stack.launch_held(processor="simulate", parameters=parameters, count=10, plan={"window": 1, **NO_RETRY})
    may_connect = asyncio.Event()

    async def pass_through_late(socket: WebSocketRoute) -> None:
        await may_connect.wait()
        socket.connect_to_server()

    page = await new_page(stack)
    await page.route_web_socket(re.compile("/ws/batches/.+"), pass_through_late)
    await page.goto(f"/batches/{batch}/")
    stack.approve(batch)
    stack.wait_for(batch, "failed")
    may_connect.set()
    await expect(page.locator("#summary .said")).to_contain_text("10 failed, 1 cause: ")


async def test_too_many_changes_at_once_reload_the_tree_and_keep_it_expanded(stack: Stack, new_page: NewPage) -> None:
    slow = {"seconds_from": 600, "seconds_to": 600}
    plan = {"window": 1, "item_timeout": 900}
    batch = stack.launch(processor="simulate", parameters=slow, count=1_001, plan=plan)
    stack.wait_for(batch, "running")
    sockets: list[WebSocketRoute] = []

    def pass_through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page = await new_page(stack)
    await page.route_web_socket(re.compile("/ws/batches/.+"), pass_through)
    await page.goto(f"/batches/{batch}/")
    await until_live(page)
    await page.locator("tr[data-kind='partition'] .twist").nth(1).click()
    children = page.locator("tr[aria-level='3'][data-kind='child']")
    await expect(children).to_have_count(100)
    opened = await page.locator("tr[data-kind='partition'][aria-expanded='true']").get_attribute("id")
    await page.locator("#tree table").evaluate("table => table.dataset.isOld = 'yes'")
    state = {"now": "2026-03-01T12:00:00Z", "reload": True, "nodes": [], "batch": stack.batch(batch) | {"halts": []}}
    sockets[-1].send(json.dumps({"type": "delta", "revision": 1, "since": 1, **state}))
    await expect(page.locator("#tree table[data-is-old]")).to_have_count(0)
    await expect(children).to_have_count(100)
    await expect(page.locator(f"#{opened}")).to_have_attribute("aria-expanded", "true")


async def test_a_hidden_tab_pauses_and_catches_up_when_it_is_shown(stack: Stack, new_page: NewPage) -> None:
    batch = stack.launch_held(
        processor="simulate", parameters={"seconds_from": 0, "seconds_to": 0}, count=10, plan={"window": 5}
    )
    page = await new_page(stack, f"/batches/{batch}/")
    await until_live(page)
    hide = "hidden => { Object.defineProperty(document, 'hidden', {configurable: true, get: () => hidden});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    await page.evaluate(hide, True)
    await expect(page.locator("#live")).to_have_attribute("data-state", "resting")
    stack.approve(batch)
    stack.wait_for(batch, "completed")
    assert await page.locator("tr[data-kind='child'][data-status='completed']").count() == 0
    await page.evaluate(hide, False)
    await until_live(page)
    await expect(page.locator("tr[data-kind='child'][data-status='completed']")).to_have_count(10)


async def test_the_pane_updates_with_its_child_and_keeps_opened_sections(stack: Stack, new_page: NewPage) -> None:
    batch = stack.launch(
        processor="simulate",
        parameters={"seconds_from": 0.6, "seconds_to": 0.6},
        count=12,
        plan={"chunk_size": 12, "item_concurrency": 1},
    )
    page = await new_page(stack, f"/batches/{batch}/")
    await page.locator(f"{row(page, 0)} .open").click()
    items = page.locator(".item-list details[data-status='completed']")
    await expect(items.first).to_be_visible()
    opened = await items.first.get_attribute("id")
    await items.first.locator("summary").click()
    await expect(page.locator(f"#{opened}")).to_contain_text("Result")
    await expect(items).to_have_count(12)
    await expect(page.locator(f"#{opened}[open]")).to_contain_text("Result")
    await expect(page.locator(".pane-head .badge")).to_have_text("Completed")
    await page.go_back()
    await expect(page.locator(".pane")).to_have_count(0)
    await page.go_forward()
    await expect(page.locator(".pane")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator(".pane")).to_have_count(0)
    assert page.url.endswith(f"/batches/{batch}/")


async def test_a_viewer_has_no_button_that_changes_anything_and_reads_whom_to_ask(
    stack: Stack, new_page: NewPage
) -> None:
    batch = stack.launch(
        processor="simulate", parameters={**QUICK, "fail_percent": 100}, count=3, plan={"window": 3, **NO_RETRY}
    )
    stack.wait_for(batch, "failed")
    page = await new_page(stack, f"/batches/{batch}/", login=VIEWER)
    await until_live(page)
    await expect(page.locator("#actions :is(button, a):visible")).to_have_count(0)
    await expect(page.locator(".meta")).to_contain_text("Read-only: ask an administrator for the operator role")
    await page.locator(f"{row(page, 0)} .open").click()
    await expect(page.get_by_role("button", name="Retry this child")).to_be_disabled()
    assert await page.locator("main form[method='post'], main input[type='checkbox']").count() == 0
    await page.locator("#summary").get_by_role("link", name="View").click()
    await expect(page.locator("#errors tbody tr")).to_have_count(1)
    await expect(page.locator("#errors").get_by_role("button", name="Retry")).to_have_count(0)
