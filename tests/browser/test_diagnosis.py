"""Why a batch does not progress, as API and page show it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.browser import NewPage
from tests.support.stack import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.browser


async def test_a_batch_on_an_unpolled_queue_shows_the_cause_until_it_progresses(
    stack: Stack, new_page: NewPage
) -> None:
    batch = stack.launch(processor="simulate", count=2, plan={"task_queue": "nobody-home"})
    page = await new_page(stack, f"/batches/{batch}/")
    finding = page.locator("#diagnosis [data-finding='no_worker']")
    await expect(finding).to_contain_text("nobody-home")

    def said() -> bool:
        answer = stack.api("GET", f"/batches/{batch}/diagnosis").json()
        codes = [each["code"] for each in answer["findings"]]
        return not answer["moving"] and "no_worker" in codes

    wait_until(said, "the API says the same")
    stack.api("POST", f"/batches/{batch}/terminate", {})
    await expect(page.locator("#diagnosis section")).to_have_count(0)
