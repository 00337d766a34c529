"""The API's page: it describes every call and tries one, under the same strict policy as every other page."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, expect

from tests.support.browser import NewPage
from tests.support.stack import Stack

pytestmark = pytest.mark.browser


async def tried(page: Page, method: str, path: str) -> Locator:
    """Open a call of the page to try it, and return its block."""
    block = page.locator(f".opblock-{method}", has_text=path).first
    await block.click()
    await block.get_by_role("button", name="Try it out").click()
    return block


async def executed(block: Locator, status: str) -> Locator:
    """Execute a call that is filled in, and return its answer, which has this status."""
    await block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table")
    await expect(answer.locator(".response-col_status").last).to_contain_text(status)
    return answer


async def test_calls_are_tried_from_the_page_and_large_integers_shown_exactly(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, "/api/v1/docs")
    calls = (await (await page.request.get("/api/v1/openapi.json")).json())["paths"].values()
    await expect(page.locator(".opblock")).to_have_count(sum(map(len, calls)))
    listed = await executed(await tried(page, "get", "/api/v1/processors"), "200")
    await expect(listed).to_contain_text("http_request")

    launch = await tried(page, "post", "/api/v1/batches")
    await launch.locator("textarea").fill('{"processor": "simulate", "count": 2, "parameters": {"seconds_to": 0.2}}')
    await executed(launch, "201")

    value = 3544790567247868102
    given = {"processor": "simulate", "items": [{"key": "a", "n": value}], "parameters": {"seconds_to": 0.2}}
    batch = stack.api("POST", "/batches", given).json()["id"]
    items = await tried(page, "get", "/api/v1/batches/{batch_id}/items")
    await items.get_by_placeholder("batch_id").fill(batch)
    await expect(await executed(items, "200")).to_contain_text(f'"n": {value}')
