"""Connections that send or read nothing are closed in time, and one address has so many."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from pytest_django import Settings
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from dashboard.server.limits.connections import LimitedProtocol, limit_connections
from dashboard.server.limits.layer import Limited
from tests.dashboard.server.limits.conftest import Serve
from tests.support.waiting import until

DEADLINE = 60
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
ANSWER = b"x" * 1_000


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a request with ANSWER, or with as many megabytes as the path says; accept a websocket."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(int(scope["path"][1:] or 0)):
        await send({"type": "http.response.body", "body": b"x" * 1024 * 1024, "more_body": True})
    await send({"type": "http.response.body", "body": ANSWER})


async def reading(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer once the body is there."""
    while (await receive()).get("more_body"):
        pass
    await app(scope, receive, send)


async def nobody(scope: dict[str, Any]) -> None:
    """Know nobody."""


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the connection is closed."""
    async with asyncio.timeout(DEADLINE):
        with suppress(ConnectionError):
            return await reader.read()
        return b""


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "])
async def test_headers_that_do_not_come_in_time_close_the_connection(
    serve: Serve, settings: Settings, begun: bytes
) -> None:
    settings.CANOPY_HEADER_SECONDS = 0.2
    reader, writer = await asyncio.open_connection(*await serve(app))
    writer.write(begun)
    assert (await rest(reader)).startswith(b"HTTP/1.1 408 " if begun else b"")
    writer.close()


async def test_headers_that_trickle_close_the_connection_also_after_a_request(serve: Serve, settings: Settings) -> None:
    settings.CANOPY_HEADER_SECONDS = 0.5
    reader, writer = await asyncio.open_connection(*await serve(app))
    writer.write(REQUEST)
    await reader.readuntil(ANSWER)

    async def trickle() -> None:
        writer.write(b"GET / HTTP/1.1\r\n")
        while True:
            writer.write(b"X-Slow: 1\r\n")
            await asyncio.sleep(0.05)

    trickling = asyncio.create_task(trickle())
    try:
        assert b"HTTP/1.1 408 " in await rest(reader)
    finally:
        trickling.cancel()
        writer.close()


async def test_300_unfinished_requests_are_closed_and_others_are_served_meanwhile(
    serve: Serve, settings: Settings
) -> None:
    settings.CANOPY_HEADER_SECONDS = 2
    address = await serve(app)
    unfinished = [await asyncio.open_connection(*address) for _ in range(300)]
    for _, writer in unfinished:
        writer.write(b"GET / HTTP/1.1\r\n")
    reader, writer = await asyncio.open_connection(*address)
    writer.write(REQUEST)
    async with asyncio.timeout(DEADLINE):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    answers = await asyncio.gather(*(rest(each) for each, _ in unfinished))
    assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
    for _, each in [*unfinished, (reader, writer)]:
        each.close()


async def test_a_client_that_reads_nothing_is_let_go(serve: Serve, settings: Settings) -> None:
    settings.CANOPY_STALLED_SECONDS = 0.3
    ended = asyncio.Event()

    async def noting(scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        finally:
            ended.set()

    _, writer = await asyncio.open_connection(*await serve(noting), limit=1_024)
    writer.write(b"GET /50 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    async with asyncio.timeout(DEADLINE):
        await ended.wait()
    writer.close()


async def test_a_download_that_is_read_slowly_arrives_as_a_whole(serve: Serve, settings: Settings) -> None:
    settings.CANOPY_STALLED_SECONDS = 5
    reader, writer = await asyncio.open_connection(*await serve(app), limit=1_024)
    writer.write(b"GET /4 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    size = 0
    async with asyncio.timeout(DEADLINE):
        while part := await reader.read(65_536):
            size += len(part)
            await asyncio.sleep(0.01)
    assert size > 4 * 1024 * 1024
    writer.close()


async def test_an_address_with_too_many_connections_loses_the_oldest_that_still_sends_its_request(
    serve: Serve, settings: Settings
) -> None:
    settings.CANOPY_CONNECTIONS_PER_ADDRESS = 5
    settings.CANOPY_HEADER_SECONDS = DEADLINE
    address = await serve(reading)
    begun = [await asyncio.open_connection(*address) for _ in range(5)]
    for number, (_, writer) in enumerate(begun):
        writer.write(REQUEST[:8] if number != 1 else b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
    for number in (0, 2, 3, 4):  # the one that has got as far as its body is kept longest
        reader, writer = await asyncio.open_connection(*address)
        writer.write(REQUEST)
        async with asyncio.timeout(DEADLINE):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            assert await rest(begun[number][0]) == b""
        begun.append((reader, writer))
    for _, each in begun:
        each.close()


async def test_connections_whose_requests_are_answered_are_kept_and_further_ones_refused(
    serve: Serve, settings: Settings
) -> None:
    settings.CANOPY_CONNECTIONS_PER_ADDRESS = 3
    at_work, go_on = list[int](), asyncio.Event()

    async def slow(scope: dict[str, Any], receive: Any, send: Any) -> None:
        at_work.append(1)
        await go_on.wait()
        await app(scope, receive, send)

    address = await serve(slow)
    kept = [await asyncio.open_connection(*address) for _ in range(3)]
    for _, writer in kept:
        writer.write(REQUEST)

    async def are_at_work() -> bool:
        return len(at_work) == 3

    await until(are_at_work, "three requests are at work")
    reader, one_more = await asyncio.open_connection(*address)
    assert await rest(reader) == b""
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    through_proxy = await asyncio.open_connection(*address)
    through_proxy[1].write(REQUEST)
    go_on.set()
    for reader, writer in [*kept, through_proxy]:
        async with asyncio.timeout(DEADLINE):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
    one_more.close()


async def test_an_address_has_so_many_websockets_and_gets_another_when_one_closes(
    serve: Serve, settings: Settings
) -> None:
    settings.CANOPY_SOCKETS_PER_ADDRESS = 3
    host, port = await serve(Limited(app, nobody))
    url = f"ws://{host}:{port}/"
    kept = [await connect(url, proxy=None) for _ in range(3)]
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, proxy=None)
    assert refused.value.response.status_code == 429
    await kept[0].close()
    async with asyncio.timeout(DEADLINE):
        while True:
            with suppress(InvalidStatus):
                async with connect(url, proxy=None):
                    break
    for each in kept[1:]:
        await each.close()


async def test_uvicorn_is_told_however_it_was_started() -> None:
    from uvicorn import Config
    from uvicorn.lifespan.on import LifespanOn

    config = Config(app)
    limit_connections(LifespanOn(config).receive)
    assert config.http_protocol_class is LimitedProtocol
    assert config.ws_max_size < 16 * 1024
