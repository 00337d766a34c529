"""The whole path of a person: a CSV of 200 addresses, 30 of them broken; watch, fix, retry, compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from tests.support.browser import NewPage, main_action, until_live
from tests.support.site import Site
from tests.support.stack import VIEWER, Stack
from tests.support.waiting import until

REASON = "Expected 200-299, got 500 Internal Server Error."

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@dataclass(frozen=True)
class Addresses:
    """A CSV file of addresses, how many there are, and how many of them are broken until their site is mended."""

    site: Site
    file: Path
    number: int
    broken: int

    def mend(self) -> None:
        """Let every address answer."""
        self.site.broken.clear()


@pytest.fixture
def make_addresses(tmp_path: Path) -> Iterator[Callable[[int, int], Addresses]]:
    """Return a function that makes a site and its addresses: make_addresses(number, broken)."""
    sites = list[Site]()

    def make(number: int, broken: int) -> Addresses:
        site = Site(seconds=0.2)
        sites.append(site)
        site.broken = {f"/{place * 6}" for place in range(broken)}
        path = tmp_path / "addresses.csv"
        rows = [f"{site.url}/{place},Page {place}" for place in range(number)]
        path.write_text("\n".join(["url,name", *rows]) + "\n")
        return Addresses(site, path, number, broken)

    yield make
    for site in sites:
        site.close()


def count(page: Page, status: str) -> Any:
    """Return the place where the page says how many children have a status."""
    return page.locator(f'b[data-count="{status}"][data-of="children"]').first


async def launch(page: Page, stack: Stack, given: Addresses) -> str:
    """Launch the batch from the form and return its id."""
    await page.goto(f"{stack.url}/launch/http_request/")
    await page.select_option("#id_format", "csv")
    await page.set_input_files("#id_file", str(given.file))
    await expect(page.locator("#preview dd").first).to_have_text(str(given.number))
    await expect(page.locator("#upload")).to_contain_text("addresses.csv")
    await page.fill("#id_plan-item_attempts", "1")
    await page.fill("#id_plan-window", "8")
    await page.click("button:has-text('Launch')")
    await page.wait_for_url("**/batches/*/")
    await page.evaluate("window.neverReloaded = true")
    return page.url.rstrip("/").rsplit("/", 1)[1]


async def watch_all_close(given: Addresses, *pages: Page) -> None:
    """See the counts reach their end on every page, without a reload."""
    for page in pages:
        await expect(count(page, "completed")).to_have_text(str(given.number - given.broken))
        await expect(count(page, "failed")).to_have_text(str(given.broken))
        assert await page.evaluate("window.neverReloaded")


async def see_the_reasons(page: Page, stack: Stack, batch: str, given: Addresses) -> None:
    """See the failed rows, each with its reason."""
    failed = stack.nodes(batch, kind="child", status="failed")
    assert [node["error"]["message"] for node in failed] == [REASON] * given.broken
    await page.goto(f"{stack.url}/batches/{batch}/?status=failed")
    rows = page.locator('tr[data-kind="child"][data-status="failed"]')
    await expect(rows).to_have_count(given.broken)
    for text in await rows.locator('[data-field="error"]').all_text_contents():  # rows out of sight have no inner text
        assert REASON in text
    await page.goto(f"{stack.url}/batches/{batch}/")
    await page.evaluate("window.neverReloaded = true")


async def retry_and_watch(given: Addresses, page: Page, *others: Page) -> None:
    """Press the button and see everything complete."""
    await main_action(page, f"Retry {given.broken}").click()
    await expect(page.locator("#answer")).to_contain_text(f"Retrying {given.broken} children.")
    for each in (page, *others):
        await expect(count(each, "completed")).to_have_text(str(given.number))
        assert await each.evaluate("window.neverReloaded")


async def read_the_old_error(page: Page, stack: Stack, batch: str, given: Addresses) -> None:
    """Open a child that was retried and read why its first attempt failed."""
    children = stack.nodes(batch, kind="child")
    assert Counter(node["attempt"] for node in children) == {1: given.number - given.broken, 2: given.broken}
    second = next(node for node in children if node["attempt"] == 2)
    await page.goto(f"{stack.url}/batches/{batch}/nodes/{second['id']}/")
    await expect(page.locator("#pane")).to_contain_text(REASON)


async def compare_with_temporal(stack: Stack, batch: str) -> None:
    """Hold rows against Temporal child by child: newest run, status, and what the parent's histories say."""
    client = await Client.connect(stack.temporal.address)
    closed = Counter[str]()
    (root,) = stack.nodes(batch, kind="root")

    async def listed() -> list[WorkflowExecution]:
        runs = [run async for run in client.list_workflows(f'WorkflowId = "batch-{batch}"')]
        return runs if len(runs) == root["attempt"] else []

    for run in await until(listed, "every run of the root is listed"):
        history = await client.get_workflow_handle(f"batch-{batch}", run_id=run.run_id).fetch_history()
        for event in history.events:
            if event.HasField("child_workflow_execution_completed_event_attributes"):
                closed[event.child_workflow_execution_completed_event_attributes.workflow_execution.workflow_id] += 1
    for node in stack.nodes(batch, kind="child"):
        said = await client.get_workflow_handle(node["workflow_id"]).describe()
        assert said.status is WorkflowExecutionStatus.COMPLETED
        assert (said.run_id, node["status"]) == (node["run_id"], "completed")
        assert closed[node["workflow_id"]] == 1


async def two_pages(new_page: NewPage, stack: Stack) -> tuple[Page, Page]:
    """Return an operator's page, and a viewer's in another browser."""
    return await new_page(stack), await new_page(stack, login=VIEWER)


async def watch_too(other: Page, stack: Stack, batch: str) -> None:
    """Have the second browser look at the batch."""
    await other.goto(f"{stack.url}/batches/{batch}/")
    await other.evaluate("window.neverReloaded = true")
    await until_live(other)


async def test_two_hundred_addresses(
    stack: Stack, new_page: NewPage, make_addresses: Callable[[int, int], Addresses]
) -> None:
    given = make_addresses(200, 30)
    page, other = await two_pages(new_page, stack)
    batch = await launch(page, stack, given)
    await watch_too(other, stack, batch)
    await watch_all_close(given, page, other)
    await see_the_reasons(page, stack, batch, given)
    given.mend()
    await retry_and_watch(given, page, other)
    stack.wait_for(batch, "completed")
    await read_the_old_error(page, stack, batch, given)
    await compare_with_temporal(stack, batch)
    assert Counter(given.site.visits.values()) == {1: 170, 2: 30}
