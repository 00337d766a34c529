"""A real uvicorn that serves the websockets, and browsers that connect to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from django.contrib.auth.models import User
from django.test import Client
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from dashboard.asgi import router
from dashboard.models import Batch
from tests.dashboard.conftest import MakeBatch
from tests.support.waiting import until

PATIENCE = 120
SMALL_BUFFER = 4_096
"""Bytes."""


def cookie_of(person: User) -> str:
    browser = Client()
    browser.force_login(person)
    return f"sessionid={browser.cookies['sessionid'].value}"


@pytest.fixture
def cookie(operator: User) -> str:
    return cookie_of(operator)


@pytest.fixture
def batch(make_batch: MakeBatch) -> Batch:
    return make_batch(items=6)


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Serve the websockets on a port of loopback, without the lifespan's workers. Nobody is too slow for it.

    The system keeps little of what is sent and not yet read, so that it does not take megabytes to be slow.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
    config = uvicorn.Config(router, log_level="warning", lifespan="off", ws_ping_timeout=600)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listening]))

    async def is_up() -> bool:
        return server.started

    await until(is_up, "uvicorn listens")
    yield "{}:{}".format(*listening.getsockname())
    server.should_exit = True
    server.force_exit = True
    await serving


Open = Callable[..., contextlib.AbstractAsyncContextManager[ClientConnection]]


@pytest.fixture
def open_socket(address: str, cookie: str) -> Open:
    """Return a function that connects as the operator's browser."""

    def open_(path: str, *, headers: dict[str, str] | None = None, **given: Any) -> connect:
        sent = {"Cookie": cookie, "Origin": f"http://{address}"} | (headers or {})
        return connect(f"ws://{address}{path}", additional_headers=sent, proxy=None, **given)

    return open_


async def read(line: ClientConnection, kind: str = "delta") -> dict[str, Any]:
    """Return the next message of a kind."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message: dict[str, Any] = json.loads(await line.recv())
            if message["type"] == kind:
                return message


async def close_code(line: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(PATIENCE):
            while True:
                await line.recv()
    return line.close_code
