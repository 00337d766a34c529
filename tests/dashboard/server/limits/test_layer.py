"""Before Django: bodies beyond the limit are refused unread, unfinished ones keep nobody out, places are shared out."""

from __future__ import annotations

import asyncio
import json
import tempfile
from typing import Any

import pytest
from pytest_django import Settings

from dashboard.asgi import router
from dashboard.server.limits import layer
from dashboard.server.limits.layer import Limited
from tests.dashboard.server.limits.conftest import Address, Serve
from tests.support.waiting import until

MB = 1024 * 1024
HUGE = 300 * MB
DEADLINE = 60


class App:
    """Reads the body, then answers once it may; `sizes` are of the bodies that it was given."""

    def __init__(self) -> None:
        self.sizes = list[int]()
        self.at_work, self.go_on = 0, asyncio.Event()
        self.go_on.set()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        self.sizes.append(size)
        self.at_work += 1
        await self.go_on.wait()
        self.at_work -= 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def are_at_work(self, number: int) -> None:
        async def are() -> bool:
            return self.at_work == number

        await until(are, lambda: f"{number} requests are at work, not {self.at_work}", DEADLINE)


async def who_is(scope: dict[str, Any]) -> str | None:
    """The person whom a header names."""
    return dict(scope["headers"]).get(b"x-person", b"").decode() or None


@pytest.fixture
async def app() -> App:
    return App()


@pytest.fixture
async def address(serve: Serve, app: App) -> Address:
    return await serve(Limited(app, who_is))


def head(path: str, *headers: str, method: str = "POST") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


async def send_all(writer: asyncio.StreamWriter, part: bytes, size: int) -> int:
    """Send parts until so many bytes are sent or the server has had enough; return how many were."""
    sent = 0
    try:
        while sent < size and not writer.is_closing():
            writer.write(part)
            await writer.drain()
            sent += len(part)
    except ConnectionError:
        pass
    return sent


async def answered(address: Address, request: bytes, part: bytes = b"", size: int = 0) -> tuple[int, bytes, int]:
    """Return the status and body of the answer, and how many bytes of a body the server let itself be sent."""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(request)
            sending = asyncio.create_task(send_all(writer, part, size))
            top = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in top.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(length)
            sent = await sending
        finally:
            writer.close()
    return int(top.split()[1]), body, sent


@pytest.fixture
def spooled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The bodies that Django has begun to write to disk."""
    begun = list[Any]()
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", begun.append)
    return begun


@pytest.mark.parametrize("path", ["/login/", "/nothing/", "/api/v1/batches", "/api/nothing", "/launch/simulate/"])
@pytest.mark.parametrize("how", [f"Content-Length: {HUGE}", "Transfer-Encoding: chunked"])
async def test_a_huge_body_of_nobody_known_is_refused_before_it_is_read(
    serve: Serve, spooled: list[Any], path: str, how: str
) -> None:
    data = b"x" * 65_536
    part = b"10000\r\n" + data + b"\r\n" if "chunked" in how else data
    status, body, sent = await answered(await serve(router), head(path, how), part, HUGE)
    assert status == 413
    assert sent < 20 * MB  # what the system's buffers take is more than what the limit is
    assert not spooled
    if path.startswith("/api/"):
        assert json.loads(body)["detail"] == "The request is too large: at most 64 kB are allowed here."
    else:
        assert b"at most 64 kB" in body


@pytest.mark.parametrize(
    ("path", "person", "size", "status"),
    [
        ("/login/", "", 64 * 1024, 200),
        ("/login/", "", 64 * 1024 + 1, 413),
        ("/login/", "olga", MB, 413),
        ("/nothing/", "olga", MB, 413),
        ("/api/nothing", "olga", MB, 413),
        ("/batches/b/retry/", "olga", 4 * MB, 200),
        ("/batches/b/retry/", "olga", 4 * MB + 1, 413),
        ("/launch/simulate/", "", MB, 413),
        ("/launch/simulate/", "olga", 5 * MB, 200),
        ("/api/v1/batches", "olga", 5 * MB, 200),
        ("/api/v1/uploads", "olga", 5 * MB, 200),
        ("/api/v1/worker/results", "worker", 5 * MB, 200),
        ("/api/v1/worker/step-results/batch/0123456789abcdef0123456789abcdef", "worker", 5 * MB, 200),
        ("/launch/simulate/", "olga", 8 * MB + 1, 413),
    ],
)
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_how_large_a_body_may_be_depends_on_route_and_person(
    address: Address, app: App, settings: Settings, path: str, person: str, size: int, status: int, is_chunked: bool
) -> None:
    settings.CANOPY_MAX_UPLOAD_BYTES = 2 * MB
    how = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {size}"
    body = b"x" * size
    sent = f"{size:x}\r\n".encode() + body + b"\r\n0\r\n\r\n" if is_chunked else body
    got, _, _ = await answered(address, head(path, how, f"X-Person: {person}") + sent)
    assert got == status
    assert app.sizes == ([size] if status == 200 else [])


async def test_a_slow_body_is_refused_in_time(address: Address, settings: Settings) -> None:
    settings.CANOPY_BODY_IDLE_SECONDS = 0.2
    status, body, _ = await answered(address, head("/login/", "Content-Length: 100") + b"x")
    assert status == 408
    assert b"did not arrive in time" in body


async def test_a_body_that_trickles_is_refused_although_something_arrives(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.server.limits.bodies.SLOW_START", 0.2)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(head("/login/", "Content-Length: 1000"))

    async def trickle() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.05)

    trickling = asyncio.create_task(trickle())
    try:
        async with asyncio.timeout(DEADLINE):
            assert b" 408 " in await reader.readline()
    finally:
        trickling.cancel()
        writer.close()


async def test_unfinished_bodies_keep_nobody_out_and_take_no_place(
    address: Address, app: App, settings: Settings
) -> None:
    settings.CANOPY_REQUESTS_PER_ADDRESS = 4
    settings.CANOPY_BODY_IDLE_SECONDS = DEADLINE
    unfinished = [await asyncio.open_connection(*address) for _ in range(100)]
    for _, writer in unfinished:
        writer.write(head("/login/", "Content-Length: 60000") + b"x" * 30_000)
    try:
        for path in ("/login/", "/batches/"):
            assert (await answered(address, head(path, method="GET")))[0] == 200
    finally:
        for _, writer in unfinished:
            writer.close()


async def test_a_person_at_their_limit_waits_and_keeps_nobody_else_out(
    address: Address, app: App, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CANOPY_REQUESTS_PER_PERSON = 3
    monkeypatch.setattr(layer, "UNASKED", 0)
    monkeypatch.setattr(layer, "WAIT", 0.5)
    app.go_on.clear()
    olga, others = head("/batches/", "X-Person: olga", method="GET"), ("X-Person: otto", "")
    at_work = [asyncio.create_task(answered(address, olga)) for _ in range(3)]
    await app.are_at_work(3)
    assert (await answered(address, olga))[0] == 429
    at_work += [
        asyncio.create_task(answered(address, head("/batches/", each, method="GET"))) for each in others if each
    ]
    at_work.append(asyncio.create_task(answered(address, head("/login/", method="GET"))))
    await app.are_at_work(5)
    monkeypatch.setattr(layer, "WAIT", DEADLINE)
    waiting = asyncio.create_task(answered(address, olga))
    app.go_on.set()
    assert {(await each)[0] for each in [*at_work, waiting]} == {200}


async def test_strangers_of_an_address_do_not_keep_out_who_is_known_and_workers_have_no_limit_of_a_person(
    address: Address, app: App, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CANOPY_REQUESTS_PER_ADDRESS, settings.CANOPY_REQUESTS_PER_PERSON = 2, 1
    monkeypatch.setattr(layer, "UNASKED", 2)
    monkeypatch.setattr(layer, "WAIT", 0.2)
    app.go_on.clear()
    stranger = head("/login/", method="GET")
    results = head("/api/v1/worker/results", "X-Person: worker", "Content-Length: 0")
    at_work = [asyncio.create_task(answered(address, stranger)) for _ in range(2)]
    await app.are_at_work(2)
    assert (await answered(address, stranger))[0] == 429
    known = [head("/", "X-Person: olga", method="GET"), results, results, results]
    at_work += [asyncio.create_task(answered(address, each)) for each in known]
    await app.are_at_work(6)
    app.go_on.set()
    assert {(await each)[0] for each in at_work} == {200}


async def test_a_process_that_has_as_many_requests_as_it_serves_says_so(
    address: Address, app: App, settings: Settings
) -> None:
    settings.CANOPY_REQUESTS = 2
    app.go_on.clear()
    request = head("/api/v1/batches", method="GET")
    at_work = [asyncio.create_task(answered(address, request)) for _ in range(2)]
    await app.are_at_work(2)
    status, body, _ = await answered(address, request)
    assert status == 503
    assert "too many requests" in json.loads(body)["detail"]
    app.go_on.set()
    assert {(await each)[0] for each in at_work} == {200}
