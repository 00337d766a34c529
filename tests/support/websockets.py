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
SEND_BUFFER = 4_096
"""Bytes."""


def session_cookie(person: User) -> str:
    browser = Client()
    browser.force_login(person)
    return f"sessionid={browser.cookies['sessionid'].value}"


OpenSocket = Callable[..., contextlib.AbstractAsyncContextManager[ClientConnection]]


async def read_message(line: ClientConnection, kind: str = "delta") -> dict[str, Any]:
    """Return the next message of a kind."""
    async with asyncio.timeout(DEADLINE):
        while True:
            message: dict[str, Any] = json.loads(await line.recv())
            if message["type"] == kind:
                return message


async def close_code(line: ClientConnection) -> int | None:
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(DEADLINE):
            while True:
                await line.recv()
    return line.close_code
