"""A team's own parents and children, which know nothing of Canopy, watched live and retried."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import expect
from temporalio.client import Client

from tests.browser.conftest import NewPage, until_live
from tests.foreign_sample import QUEUE, Order
from tests.stack import Process, Stack

pytestmark = pytest.mark.browser


@pytest.fixture
def sample(stack: Stack, tmp_path: Path) -> Iterator[Process]:
    """The team's worker, as a process of its own."""
    process = Process([sys.executable, "-m", "tests.foreign_sample"], tmp_path / "sample.log", stack.env)
    process.start()
    yield process
    process.stop()


async def test_a_sample_that_knows_nothing_of_canopy_is_watched_live_and_its_failures_retried(
    stack: Stack, sample: Process, new_page: NewPage, tmp_path: Path
) -> None:
    gate, stock, name = tmp_path / "gate", tmp_path / "stock", f"orders-{uuid4().hex[:6]}"
    orders = [
        Order("books", needs=str(stock)),
        Order("lamps", waits_for=str(gate)),
        Order("desk", parts=[Order("top"), Order("legs", parts=[Order("left"), Order("right", waits_for=str(gate))])]),
    ]
    client = await Client.connect(stack.temporal.address)
    parent = await client.start_workflow("ProcessOrders", orders, id=name, task_queue=QUEUE)

    page = await new_page(stack, "/launch/")
    await page.get_by_role("link", name="Watch what runs already").click()
    await page.get_by_label("Search by id or type").fill(name)
    await page.get_by_role("button", name=f"Watch {name}").click()
    await page.wait_for_url("**/batches/*/")
    await until_live(page)
    address = page.url
    row = page.locator("tr[data-kind]", has_text=f"{name}/books")
    await expect(row).to_have_attribute("data-status", "failed")
    await expect(row).to_contain_text("OutOfStock: books is out of stock")
    await expect(page.locator("tr", has_text=f"{name}/lamps")).to_have_attribute("data-status", "running")

    desk = page.locator("tr[data-kind='parent']", has_text=f"{name}/desk")
    await desk.locator(".twist").click()
    await expect(page.locator("tr[data-kind='child']", has_text=f"{name}/desk/top")).to_have_attribute(
        "data-status", "completed"
    )
    await page.locator("tr[data-kind='parent']", has_text=f"{name}/desk/legs").locator(".twist").click()
    await page.wait_for_url("**?open=*")
    await until_live(page)
    right = page.locator("tr[data-kind='child']", has_text="legs/right")
    await expect(right).to_have_attribute("aria-level", "4")
    await expect(right).to_have_attribute("data-status", "running")
    gate.touch()
    await expect(right).to_have_attribute("data-status", "completed")
    await expect(page.locator("[data-field='badge']")).to_contain_text("Completed with failures")
    assert (await parent.result())[1] == "packed lamps"

    await page.goto(address)
    await until_live(page)
    stock.touch()
    await page.get_by_role("button", name="Retry failed").click()
    await expect(page.locator("#answer")).to_contain_text("1 child gets another attempt.")
    await expect(row).to_have_attribute("data-attempt", "2")
    await expect(row).to_have_attribute("data-status", "completed")
    await expect(page.locator("[data-field='badge']")).to_have_text("Completed")
    assert await client.get_workflow_handle(f"{name}/books").result() == "packed books"

    again = stack.api("POST", "/watches", {"workflow_id": f"{name}/desk/top"})
    assert (again.status_code, again.json()["id"]) == (200, address.rstrip("/").rsplit("/", 1)[1])
    assert stack.api("POST", f"/batches/{again.json()['id']}/pause").status_code == 409


async def test_a_workflow_that_nobody_knows_is_said_so_where_it_was_typed(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, "/watch/", allow=[r"status of 422"])
    await page.get_by_label("Workflow id").fill("it's not there")
    await page.get_by_role("button", name="Watch", exact=True).click()
    await expect(page.locator("#workflow-id-error")).to_contain_text('Temporal knows no workflow "it\'s not there"')
    await expect(page.get_by_label("Workflow id")).to_have_value("it's not there")
