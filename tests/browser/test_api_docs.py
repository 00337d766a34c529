"""The API's page: it describes every call and tries one, under the same strict policy as every other page."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.browser import NewPage
from tests.support.stack import Stack

pytestmark = pytest.mark.browser


async def test_a_call_can_be_tried_from_the_page(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, "/api/v1/docs")
    calls = (await (await page.request.get("/api/v1/openapi.json")).json())["paths"].values()
    await expect(page.locator(".opblock")).to_have_count(sum(map(len, calls)))
    block = page.locator(".opblock", has_text="/api/v1/processors").first
    await block.click()
    await block.get_by_role("button", name="Try it out").click()
    await block.get_by_role("button", name="Execute").click()
    await expect(block.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    await expect(block.locator(".live-responses-table")).to_contain_text("http_request")


async def test_a_batch_can_be_launched_from_the_page(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, "/api/v1/docs")
    block = page.locator(".opblock-post", has_text="/api/v1/batches").first
    await block.click()
    await block.get_by_role("button", name="Try it out").click()
    await block.locator("textarea").fill('{"processor": "simulate", "count": 2, "parameters": {"seconds_to": 0.2}}')
    await block.get_by_role("button", name="Execute").click()
    await expect(block.locator(".live-responses-table .response-col_status").last).to_contain_text("201")


async def test_large_integers_are_shown_exactly(stack: Stack, new_page: NewPage) -> None:
    value = 3544790567247868102
    given = {"processor": "simulate", "items": [{"key": "a", "n": value}], "parameters": {"seconds_to": 0.2}}
    batch = stack.api("POST", "/batches", given).json()["id"]
    page = await new_page(stack, "/api/v1/docs")
    block = page.locator(".opblock-get", has_text="/api/v1/batches/{batch_id}/items").first
    await block.click()
    await block.get_by_role("button", name="Try it out").click()
    await block.get_by_placeholder("batch_id").fill(batch)
    await block.get_by_role("button", name="Execute").click()
    await expect(block.locator(".live-responses-table")).to_contain_text(f'"n": {value}')
