"""External workflows, whose code does not use Canopy: watched live and retried, and started once per item."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect
from temporalio.client import Client

from tests.support.browser import NewPage, main_action, until_live
from tests.support.external_sample import QUEUE, Order
from tests.support.stack import Process, Stack
from tests.support.waiting import until

pytestmark = pytest.mark.browser


@pytest.fixture
def sample(stack: Stack, tmp_path: Path) -> Iterator[Process]:
    """The team's worker, as a process of its own."""
    process = Process([sys.executable, "-m", "tests.support.external_sample"], tmp_path / "sample.log", stack.env)
    process.start()
    yield process
    process.stop()


async def until_listed(client: Client, query: str) -> None:
    """Wait until Temporal's list has such a workflow: that is up to a second later."""

    async def listed() -> bool:
        return bool((await client.count_workflows(query)).count)

    await until(listed, f"what has {query} is listed")


async def test_an_external_tree_is_watched_live_and_its_failures_are_retried(
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
    await until_listed(client, f"ParentWorkflowId = '{name}'")

    page = await new_page(stack, "/launch/")
    await finds_and_watches(page, name)
    address = page.url
    books = page.locator("tr[data-kind='child']", has_text="books")
    await expect(books).to_have_attribute("data-status", "failed")
    await expect(books).to_contain_text("OutOfStock: books is out of stock")
    await expect(page.locator("tr[data-kind='child']", has_text="lamps")).to_have_attribute("data-status", "running")
    await opens_parents_and_sees_a_child_complete(page, gate)
    assert (await parent.result())[1] == "packed lamps"

    await page.goto(address)
    await until_live(page)
    stock.touch()
    await main_action(page, "Retry 1").click()
    await expect(page.locator("#answer")).to_contain_text("Retrying 1 child.")
    await expect(books).to_have_attribute("data-attempt", "2")
    await expect(books).to_have_attribute("data-status", "completed")
    await expect(page.locator("[data-field='badge']")).to_have_text("Completed")
    assert await client.get_workflow_handle(f"{name}/books").result() == "packed books"

    again = stack.api("POST", "/watches", {"workflow_id": f"{name}/desk/top"})
    assert (again.status_code, again.json()["id"]) == (200, address.rstrip("/").rsplit("/", 1)[1])
    assert stack.api("POST", f"/batches/{again.json()['id']}/pause").status_code == 409


async def finds_and_watches(page: Page, name: str) -> None:
    """Search for a workflow and watch it."""
    await page.get_by_role("link", name="Watch a running workflow").click()
    await page.get_by_label("Search by id or type").fill(name)
    await page.get_by_role("button", name=f"Watch {name}").click()
    await page.wait_for_url("**/batches/*/")
    await until_live(page)


async def opens_parents_and_sees_a_child_complete(page: Page, gate: Path) -> None:
    """Open two parents, one below the other, and let the child that waits for the gate go on."""
    desk = page.locator("tr[data-kind='parent']", has_text="desk")
    await desk.locator(".twist").click()
    await expect(page.locator("tr[data-kind='child']", has_text="top")).to_have_attribute("data-status", "completed")
    await page.locator("tr[data-kind='parent']", has_text="legs").locator(".twist").click()
    await page.wait_for_url("**?open=*")
    await until_live(page)
    right = page.locator("tr[data-kind='child']", has_text="right")
    await expect(right).to_have_attribute("aria-level", "4")
    await expect(right).to_have_attribute("data-status", "running")
    await asyncio.to_thread(gate.touch)
    await expect(right).to_have_attribute("data-status", "completed")
    await expect(page.locator("[data-field='badge']")).to_contain_text("Partially failed")


async def test_an_unknown_workflow_id_is_reported_at_its_field(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(stack, "/watch/", allow=[r"status of 422"])
    await page.get_by_label("Workflow id").fill("it's not there")
    await page.get_by_role("button", name="Watch", exact=True).click()
    await expect(page.locator("#workflow-id-error")).to_contain_text('There is no workflow "it\'s not there"')
    await expect(page.get_by_label("Workflow id")).to_have_value("it's not there")


async def test_an_external_workflow_type_is_started_once_per_item(
    stack: Stack, sample: Process, new_page: NewPage, tmp_path: Path
) -> None:
    stock, name = tmp_path / "stock", uuid4().hex[:6]
    client = await Client.connect(stack.temporal.address)
    await client.execute_workflow("ProcessOrder", Order(f"seen-{name}"), id=f"seen-{name}", task_queue=QUEUE)
    await until_listed(client, f"WorkflowId = 'seen-{name}'")
    items = [{"name": f"books-{name}", "needs": str(stock)}, {"name": f"lamps-{name}"}, {"name": f"desk-{name}"}]

    page = await new_page(stack, "/launch/workflow/")
    await launches_external_workflows(page, items)
    batch_id = page.url.rstrip("/").rsplit("/", 1)[1]
    await expect(page.locator("[data-field='badge']")).to_contain_text("Partially failed")
    rows = page.locator("tr[data-kind='step']", has_text="ProcessOrder")
    await expect(rows).to_have_count(3)
    await expect(page.locator("tr[data-kind='child'][data-status='failed']")).to_contain_text("OutOfStock: books-")
    assert await client.get_workflow_handle(f"order-desk-{name}").result() == f"packed desk-{name}"
    stock.touch()
    await retries_the_group_of_errors(page)

    results = stack.api("GET", f"/batches/{batch_id}/items").json()["results"]
    assert [item["result"] for item in results] == [f"packed {item['name']}" for item in items]
    history = await client.get_workflow_handle(f"batch-{batch_id}").fetch_history()
    payloads = b"".join(event.SerializeToString() for event in history.events)
    assert f"batch-{batch_id}/c0".encode() in payloads
    assert f"books-{name}".encode() not in payloads, "the parent's history has no payload of an item"


async def launches_external_workflows(page: Page, items: Sequence[Mapping[str, str]]) -> None:
    """Fill in the form, with the workflow type that it suggests, and launch."""
    kind = page.get_by_label("Workflow type")
    await kind.press_sequentially("process")
    option = page.locator("#id_parameters-workflow_type-suggestions option[value='ProcessOrder']")
    await expect(option).to_contain_text(f"seen on {QUEUE}")
    await kind.fill("ProcessOrder")
    await page.get_by_label("Task queue of the workflow").fill(QUEUE)
    await page.get_by_label("Workflow id").fill("order-{name}")
    await page.get_by_label("Input format").select_option("jsonl")
    await page.get_by_label("Items", exact=True).fill("\n".join(json.dumps(item) for item in items))
    await expect(page.locator("#preview")).to_contain_text("3")
    await page.get_by_role("button", name="Launch", exact=True).click()
    await page.wait_for_url("**/batches/*/")
    await until_live(page)


async def retries_the_group_of_errors(page: Page) -> None:
    """Retry the one group of errors, and wait until its items have completed."""
    await page.locator("#summary").get_by_role("link", name="View").click()
    errors = page.locator("#errors tbody tr")
    await expect(errors).to_have_count(1)
    await expect(errors.locator(".pattern")).to_have_text("<id> is out of stock")
    await errors.get_by_role("button", name="Retry 1").click()
    await expect(page.locator("[data-field='badge']")).to_have_text("Completed")
    await expect(errors).to_contain_text("1 fixed")
    await page.locator("#tabs").get_by_role("link", name="Tree").click()
    await expect(page.locator("tr[data-kind='child'][data-attempt='2']")).to_have_count(1)
    await expect(page.locator("tr[data-kind='step'][data-attempt='2']")).to_have_attribute("data-status", "completed")
