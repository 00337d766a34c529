"""A real uvicorn that serves the websockets, and browsers that connect to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from django.contrib.auth.models import User
from websockets.asyncio.client import connect

from dashboard.asgi import router
from dashboard.models import Batch
from tests.support.builders import MakeBatch
from tests.support.waiting import until
from tests.support.websockets import SEND_BUFFER, OpenSocket, session_cookie


@pytest.fixture
def cookie(operator: User) -> str:
    return session_cookie(operator)


@pytest.fixture
def batch(make_batch: MakeBatch) -> Batch:
    return make_batch(items=6)


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Serve the websockets on a port of loopback, without the lifespan's workers. Nobody is too slow for it.

    The system keeps little of what is sent and not yet read, so that it does not take megabytes to be slow.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
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


@pytest.fixture
def open_socket(address: str, cookie: str) -> OpenSocket:
    """Return a function that connects as the operator's browser."""

    def open_(path: str, *, headers: dict[str, str] | None = None, **given: Any) -> connect:
        sent = {"Cookie": cookie, "Origin": f"http://{address}"} | (headers or {})
        return connect(f"ws://{address}{path}", additional_headers=sent, proxy=None, **given)

    return open_
