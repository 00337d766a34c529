"""The websockets, over a real uvicorn: every change arrives, whatever happens to messages."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import channels.auth
import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.db import OperationalError
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from dashboard.live import consumers, deltas, doorbell
from dashboard.live.state import iso
from dashboard.models import Batch, Node
from dashboard.projection.events import apply_events
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from tests.support.builders import START, close_root, run_children, start_root, started
from tests.support.waiting import until
from tests.support.websockets import SEND_BUFFER, OpenSocket, close_code, read_message

pytestmark = pytest.mark.django_db(transaction=True)


@contextlib.asynccontextmanager
async def no_bell() -> AsyncIterator[None]:
    """Lose every message of the channel layer."""
    layer = get_channel_layer()
    assert layer is not None
    send = layer.group_send
    layer.group_send = lambda group, message: asyncio.sleep(0)
    try:
        yield
    finally:
        layer.group_send = send


async def change(function: Callable[..., Any], batch: Batch, *args: Any, **given: Any) -> None:
    """Change rows as the notify activity does: database first, doorbell second."""
    await sync_to_async(function)(batch, *args, **given)
    await doorbell.announce_change(batch.pk)


async def read_until(line: ClientConnection, is_enough: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Return the deltas up to the one that is enough."""
    messages = [await read_message(line)]
    while not is_enough(messages[-1]):
        messages.append(await read_message(line))
    return messages


async def revision_of(batch: Batch) -> int:
    return (await Batch.objects.aget(pk=batch.pk)).revision


def positions(messages: Iterable[dict[str, Any]], status: str) -> set[int]:
    return {
        node["position"]
        for message in messages
        for node in message["nodes"]
        if node["kind"] == "child" and node["status"] == status
    }


async def test_changes_arrive_at_once_and_to_every_browser(open_socket: OpenSocket, batch: Batch) -> None:
    path = f"/ws/batches/{batch.pk}/?revision={await revision_of(batch)}"
    async with open_socket(path) as first, open_socket(path) as second:
        await read_message(first, "tick")
        await read_message(second, "tick")
        await change(start_root, batch)
        await change(run_children, batch, {2: Status.FAILED})
        for line in (first, second):
            messages = await read_until(line, lambda message: message["batch"]["children"]["failed"] == 1)
            assert positions(messages, "failed") == {2}


async def test_a_lost_bell_costs_a_second_at_most(open_socket: OpenSocket, batch: Batch) -> None:
    async with open_socket(f"/ws/batches/{batch.pk}/?revision={await revision_of(batch)}") as line, no_bell():
        await read_message(line, "tick")
        await change(run_children, batch, {1: Status.COMPLETED})
        messages = await read_until(line, lambda message: message["batch"]["children"]["completed"] == 1)
        assert positions(messages, "completed") == {1}


async def test_a_layer_that_is_away_costs_a_second_at_most(
    open_socket: OpenSocket, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: Any) -> None:
        raise ConnectionError("Redis is away")

    layer = get_channel_layer()
    for name in ("group_add", "group_send", "group_discard"):
        monkeypatch.setattr(layer, name, fail)
    async with open_socket(f"/ws/batches/{batch.pk}/?revision={await revision_of(batch)}") as line:
        await change(run_children, batch, {1: Status.COMPLETED})
        await read_until(line, lambda message: message["batch"]["children"]["completed"] == 1)


async def test_a_browser_that_comes_back_gets_what_it_missed(open_socket: OpenSocket, batch: Batch) -> None:
    async with open_socket(f"/ws/batches/{batch.pk}/?revision={await revision_of(batch)}") as line:
        await change(run_children, batch, {0: Status.COMPLETED})
        had = await read_until(line, lambda message: message["batch"]["children"]["completed"] == 1)
    await change(run_children, batch, {1: Status.FAILED})
    await change(run_children, batch, {2: Status.COMPLETED})
    async with open_socket(f"/ws/batches/{batch.pk}/?revision={had[-1]['revision']}") as line:
        delta = await read_message(line)
    assert (positions([delta], "completed"), positions([delta], "failed")) == ({2}, {1})
    assert delta["since"] == had[-1]["revision"]


async def test_revisions_follow_each_other_without_a_gap(open_socket: OpenSocket, batch: Batch) -> None:
    async with open_socket(f"/ws/batches/{batch.pk}/?revision={await revision_of(batch)}") as line:
        await change(start_root, batch)
        for position in range(6):
            await change(run_children, batch, {position: Status.COMPLETED})
        await change(close_root, batch)
        messages = await read_until(line, lambda message: message["batch"]["status"] == "completed")
    for before, after in itertools.pairwise(messages):
        assert after["since"] == before["revision"]
    assert positions(messages, "completed") == set(range(6))


@pytest.mark.parametrize("revision", ["", "-1", "x", "1" * 50, "٣"])
async def test_a_revision_that_is_no_number_starts_from_the_beginning(
    open_socket: OpenSocket, batch: Batch, revision: str
) -> None:
    await sync_to_async(run_children)(batch, {0: Status.COMPLETED})
    async with open_socket(f"/ws/batches/{batch.pk}/?revision={revision}") as line:
        delta = await read_message(line)
    assert delta["revision"] == await revision_of(batch)


async def test_a_quiet_line_ticks(open_socket: OpenSocket, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "TICK_AFTER", 0.2)
    async with open_socket(f"/ws/batches/{batch.pk}/?revision={await revision_of(batch)}") as line:
        for _ in range(3):
            assert (await read_message(line, "tick"))["now"]


async def test_a_slow_browser_gets_fewer_and_larger_deltas(open_socket: OpenSocket, make_batch: Any) -> None:
    """It reads nothing while 60 revisions of 60 nodes pass (1.2 MB): what waits for it is bounded by buffers."""
    batch = await sync_to_async(make_batch)(items=60)
    nodes = await sync_to_async(lambda: list(Node.objects.filter(batch=batch, kind=NodeKind.CHILD)))()
    host, port = open_socket("/").uri.removeprefix("ws://").rstrip("/").split(":")  # type: ignore[attr-defined]
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SEND_BUFFER)
    narrow.connect((host, int(port)))
    narrow.setblocking(False)
    path = f"/ws/batches/{batch.pk}/?revision={await revision_of(batch)}"
    rounds = 60
    async with open_socket(path, sock=narrow, max_queue=1, compression=None, ping_interval=None) as line:
        for run in range(1, rounds + 1):
            events = [started(node, run, START.replace(minute=run % 60, hour=12 + run // 60)) for node in nodes]
            await sync_to_async(apply_events)(batch.pk, events)
            await doorbell.announce_change(batch.pk)
        newest = await revision_of(batch)
        messages = await read_until(line, lambda message: message["revision"] == newest)
    assert len(messages) < rounds * 0.8
    assert {node["attempt"] for node in messages[-1]["nodes"] if node["kind"] == "child"} == {rounds}


async def test_a_failure_while_looking_closes_the_line_so_that_the_browser_comes_again(
    open_socket: OpenSocket, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> Any:
        raise RuntimeError("disk is gone")

    monkeypatch.setattr(deltas, "batch_deltas", fail)
    async with open_socket(f"/ws/batches/{batch.pk}/") as line:
        assert await close_code(line) == 1011


async def test_what_a_browser_says_is_not_heard(open_socket: OpenSocket, batch: Batch) -> None:
    async with open_socket(f"/ws/batches/{batch.pk}/?revision={await revision_of(batch)}") as line:
        await line.send(json.dumps({"type": "batch.changed", "retry": [1]}))
        await line.send(b"\x00\xff")
        await change(run_children, batch, {1: Status.COMPLETED})
        await read_until(line, lambda message: message["batch"]["children"]["completed"] == 1)


async def test_a_browser_is_told_since_when_changes_are_only_polled_for(
    open_socket: OpenSocket, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = get_channel_layer()
    monkeypatch.setattr(layer, "away_since", START, raising=False)
    async with open_socket(f"/ws/batches/{batch.pk}/?revision={await revision_of(batch)}") as line:
        assert (await read_message(line, "tick"))["late_since"] == iso(START)
        monkeypatch.setattr(layer, "away_since", None)
        assert (await read_message(line, "tick"))["late_since"] is None


async def test_while_the_database_is_away_a_handshake_is_a_503_and_an_open_line_is_closed_for_now(
    open_socket: OpenSocket, batch: Batch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*given: Any) -> Any:
        raise OperationalError("the connection is lost")

    path = f"/ws/batches/{batch.pk}/"
    async with open_socket(path) as line:
        await read_message(line, "tick")
        monkeypatch.setattr(deltas, "batch_deltas", fail)
        assert await close_code(line) == 1013
    monkeypatch.setattr(channels.auth, "get_user", fail)
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(path):
            raise AssertionError("It was accepted.")
    response = refused.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert not [record for record in caplog.records if record.exc_info]


# The list


async def test_the_list_follows_all_batches(open_socket: OpenSocket, batch: Batch, operator: User) -> None:
    async with open_socket("/ws/batches/") as line:
        first = await read_message(line, "batches")
        assert [state["id"] for state in first["batches"]] == [batch.pk]
        await change(start_root, batch)
        second = await read_message(line, "batches")
        assert [(state["id"], state["status"]) for state in second["batches"]] == [(batch.pk, "running")]
        assert second["batches"][0]["launched_by"] == operator.username


# What is left behind


async def test_a_browser_that_goes_leaves_no_loop_behind(open_socket: OpenSocket, batch: Batch) -> None:
    def loops() -> list[str]:
        names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
        return [name for name in names if name == "_LiveConsumer._run"]

    async def is_over() -> bool:
        return not loops()

    await until(is_over, "no loop of another test is left")
    async with open_socket(f"/ws/batches/{batch.pk}/") as line:
        await read_message(line)
        assert len(loops()) == 1
    await until(is_over, "no loop of the consumer is left")


async def test_a_layer_that_hangs_delays_whoever_reports_a_change_once(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung = list[str]()

    async def hang(group: str, *args: Any) -> None:
        rung.append(group)
        await asyncio.Event().wait()

    monkeypatch.setattr(get_channel_layer(), "group_send", hang)
    monkeypatch.setattr(doorbell, "RING_TIMEOUT", 0.05)
    monkeypatch.setattr(doorbell, "_silence", doorbell._Silence())
    for _ in range(3):
        await asyncio.wait_for(doorbell.announce_change(batch.pk), 60)
    assert rung == [doorbell.group_of(batch.pk)]
