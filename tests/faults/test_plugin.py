"""The plugin on a worker of another team: trees are reported as they grow; an unreachable dashboard delays nothing."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from orchestration.plugin import CanopyPlugin
from orchestration.remote.event_sender import EventSender
from orchestration.remote.wire import WorkflowEvent
from tests.support.external_sample import Order, ProcessOrder, ProcessOrders, pack
from tests.support.stack import Stack, free_port, http
from tests.support.waiting import until, wait_until

QUEUE = "plugin-orders"
WORKFLOWS = [ProcessOrder, ProcessOrders]


async def test_parents_and_children_are_reported_without_a_request(stack: Stack, tmp_path: Path) -> None:
    client = await Client.connect(stack.temporal.address)
    plugin = CanopyPlugin(stack.url, stack.login["token"])
    name = f"plugin-{uuid4().hex[:6]}"
    orders = [Order("books", needs=str(tmp_path / "never")), Order("lamps"), Order("desk", parts=[Order("top")])]
    async with Worker(client, task_queue=QUEUE, workflows=WORKFLOWS, activities=[pack], plugins=[plugin]):
        await client.execute_workflow("ProcessOrders", orders, id=name, task_queue=QUEUE)
        await client.execute_workflow("ProcessOrder", Order("alone"), id=f"{name}-alone", task_queue=QUEUE)
    assert plugin.sender.pending == 0

    async def shown() -> str:
        answer = await asyncio.to_thread(stack.api, "POST", "/watches", {"workflow_id": name})
        assert answer.status_code == 200, "it is watched already"
        return str(answer.json()["id"])

    batch = await shown()

    async def settled() -> bool:
        state = await asyncio.to_thread(stack.batch, batch)
        return bool(state["status"] == "completed_with_failures")

    await until(settled, "the tree is shown")
    state = stack.batch(batch)
    assert (state["children"]["total"], state["children"]["failed"], state["children"]["completed"]) == (3, 1, 2)
    nodes = stack.api("GET", f"/batches/{batch}/nodes?limit=100").json()["results"]
    assert sum("out of stock" in ((node["error"] or {}).get("message") or "") for node in nodes) == 1
    alone = stack.api("POST", "/watches", {"workflow_id": f"{name}-alone"})
    assert alone.status_code == 201, "what has no children is no tree to watch"


async def test_one_plugin_serves_workers_side_by_side_and_one_after_another(stack: Stack) -> None:
    client = await Client.connect(stack.temporal.address)
    plugin, name = CanopyPlugin(stack.url, stack.login["token"]), f"shared-{uuid4().hex[:6]}"

    def worker(queue: str) -> Worker:
        return Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=[pack], plugins=[plugin])

    async def run(queue: str) -> None:
        await client.execute_workflow("ProcessOrders", [Order("one")], id=queue, task_queue=queue)

    async with worker(f"{name}-1"):
        async with worker(f"{name}-2"):
            await run(f"{name}-2")
        await run(f"{name}-1")
    async with worker(f"{name}-3"):
        await run(f"{name}-3")
    assert plugin.sender.pending == 0
    for number in (1, 2, 3):
        known = await asyncio.to_thread(stack.api, "POST", "/watches", {"workflow_id": f"{name}-{number}"})
        assert known.status_code == 200, f"{name}-{number} was reported"


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = list[socket.socket]()

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    for each in taken:
        each.close()


@pytest.mark.parametrize("where", ["away", "silent"])
async def test_a_dashboard_that_is_away_or_silent_delays_nothing(
    stack: Stack, where: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("silent") if where == "silent" else f"http://127.0.0.1:{free_port()}"
    client = await Client.connect(stack.temporal.address)
    plugin = CanopyPlugin(url, "token")
    async with asyncio.timeout(120):
        queue = f"{QUEUE}-{where}"
        async with Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=[pack], plugins=[plugin]):
            orders = [Order(f"{number}") for number in range(10)]
            name = f"{where}-{uuid4().hex[:6]}"
            done = await client.execute_workflow("ProcessOrders", orders, id=name, task_queue=queue)
    assert done == [f"packed {number}" for number in range(10)]


def event(number: int) -> WorkflowEvent:
    return WorkflowEvent("root", "run", "root", f"child-{number}", f"{number}", "Child", datetime.now(UTC))


def test_undeliverable_events_are_dropped_oldest_first() -> None:
    sender = EventSender(f"http://127.0.0.1:{free_port()}", "token", capacity=10)
    for number in range(100):
        sender.send(event(number))
    assert sender.pending <= 10
    assert sender._pending[-1].workflow_id == "child-99"
    sender.close()


def test_events_with_an_invalid_token_are_refused_and_not_sent_again(stack: Stack) -> None:
    sender = EventSender(stack.url, "wrong")
    sender.send(event(1))
    wait_until(lambda: sender.pending == 0, "they are given up")
    sender.close()
    url = f"{stack.url}/api/v1/watches/events"
    headers = {"Authorization": f"Bearer {stack.login['token']}"}
    assert http.post(url, content=b'[{"root": 1}]', headers=headers).status_code == 422
