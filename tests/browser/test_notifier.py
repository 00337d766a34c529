"""Browser notifications: enabled at a batch, they are shown when its status changes, in a hidden tab as well."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.browser import NewPage, choose, until_live
from tests.support.stack import Stack
from tests.support.waiting import until

pytestmark = pytest.mark.browser

REFUSE = "() => { Notification.requestPermission = async () => 'denied'; }"

RECORD = """() => {
  window.notified = [];
  window.Notification = class {
    static permission = "granted";
    static requestPermission = async () => "granted";
    constructor(title, { body }) { window.notified.push(`${title}: ${body}`); }
  };
}"""


HIDE = """
Object.defineProperty(document, "hidden", { value: true });
document.dispatchEvent(new Event("visibilitychange"));
"""


async def test_a_browser_is_notified_of_the_first_failure_and_of_the_end(stack: Stack, new_page: NewPage) -> None:
    parameters = {"seconds_from": 0.2, "seconds_to": 0.2, "fail_percent": 50, "seed": 2}
    plan = {"window": 1, "item_attempts": 1}
    batch = stack.launch_held(processor="simulate", parameters=parameters, count=20, plan=plan, label="Night run")
    page = await new_page(stack, f"/batches/{batch}/")
    await page.evaluate(REFUSE)
    await until_live(page)
    button = page.locator("#notify")
    await choose(page, "Notify me")
    refusal = page.get_by_text("Notifications are blocked.")
    await expect(refusal).to_be_visible()
    await expect(button).to_have_attribute("aria-pressed", "false")
    await page.locator("h1").click()
    await page.evaluate(RECORD)
    await choose(page, "Notify me")
    await expect(refusal).to_have_count(0)
    await expect(button).to_have_attribute("aria-pressed", "true")
    await page.evaluate(HIDE)
    stack.approve(batch)

    async def has_ended() -> bool:
        return any("Partially failed" in text for text in await page.evaluate("window.notified"))

    await until(has_ended, "the end of the batch was notified")
    notified = await page.evaluate("window.notified")
    failed = stack.batch(batch)["children"]["failed"]
    assert notified[-1] == f"Night run: Partially failed: {failed} of 20 children failed"
    assert all(text.startswith("Night run: ") for text in notified)
    await expect(page.locator("#live")).to_have_attribute("data-state", "live")
    await choose(page, "Notify me")
    await expect(button).to_have_attribute("aria-pressed", "false")
