"""A browser's websocket: the session cookie that it connects with, the messages that it reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

DEADLINE = 120
"""Seconds."""

SEND_BUFFER = 4_096
"""Bytes that the system keeps of what is sent and not yet read."""


def session_cookie(person: User) -> str:
    """Return the cookie header of a person who has logged in."""
    browser = Client()
    browser.force_login(person)
    return f"sessionid={browser.cookies['sessionid'].value}"


OpenSocket = Callable[..., contextlib.AbstractAsyncContextManager[ClientConnection]]


async def read_message(socket: ClientConnection, kind: str = "delta") -> dict[str, Any]:
    """Return the next message of a kind."""
    async with asyncio.timeout(DEADLINE):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] == kind:
                return message


async def close_code(socket: ClientConnection) -> int | None:
    """Read until the server closes the connection, and return its code."""
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(DEADLINE):
            while True:
                await socket.recv()
    return socket.close_code
