"""A real uvicorn around an ASGI application, and raw connections to it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import uvicorn

from dashboard.server.limits.connections import LimitedProtocol
from tests.support.waiting import until

Address = tuple[str, int]
Serve = Callable[[Any], Awaitable[Address]]


@asynccontextmanager
async def _serving(app: Any) -> AsyncIterator[Address]:
    listening = socket.create_server(("127.0.0.1", 0), backlog=1_000)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    config = uvicorn.Config(app, http=LimitedProtocol, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve([listening]))

    async def is_up() -> bool:
        return server.started

    await until(is_up, "uvicorn listens")
    yield listening.getsockname()
    server.should_exit = server.force_exit = True
    await running


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Return a function that serves an application on a port of loopback until the test ends."""
    async with AsyncExitStack() as servers:

        async def serve_(app: Any) -> Address:
            return await servers.enter_async_context(_serving(app))

        yield serve_
