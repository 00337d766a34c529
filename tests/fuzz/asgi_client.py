"""Requests and handshakes as an attacker sends them, byte by byte, given to the web process's application."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

ANSWER_WITHIN = 60.0
PEERS = (f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}" for number in itertools.count(1))
"""Another address for each request: what one address sends with wrong tokens is soon refused unread."""


@dataclass(frozen=True)
class Sent:
    """A request, or with the method WEBSOCKET a handshake, after which the body is sent as a message."""

    method: str
    target: bytes
    headers: Mapping[str, bytes] = field(default_factory=dict)
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.method} {self.target[:300]!r} {dict(self.headers)} {self.body[:300]!r}"


def scope_of(sent: Sent) -> dict[str, Any]:
    """Return the ASGI scope that uvicorn makes of a request."""
    path, _, query = sent.target.partition(b"?")
    names = [(name.lower().encode(), value) for name, value in sent.headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "path": unquote(path.decode("latin-1").encode("latin-1").decode("ascii", "replace")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"content-length", str(len(sent.body)).encode()), *names],
        "client": (next(PEERS), 50_000),
        "server": ("127.0.0.1", 8000),
        "extensions": {},
    }
    if sent.method == "WEBSOCKET":
        denial: dict[str, Any] = {"websocket.http.response": {}}
        headers = [(b"host", b"127.0.0.1"), *names]
        return scope | {
            "type": "websocket",
            "scheme": "ws",
            "subprotocols": [],
            "extensions": denial,
            "headers": headers,
        }
    return scope | {"method": sent.method}


async def answer(app: Any, sent: Sent) -> int:
    """Return the status of an answer: 500 where the application raises, 101 for an open websocket that was closed.

    A websocket that is closed with 1011 (internal error) counts as 500.
    """
    is_socket, status = sent.method == "WEBSOCKET", [0]
    first = {"type": "websocket.connect"} if is_socket else {"type": "http.request", "body": sent.body}
    inbox = asyncio.Queue[dict[str, Any]]()
    inbox.put_nowait(first)

    async def send(message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind.endswith("response.start"):
            status[0] = int(message["status"])
        elif kind == "websocket.accept":
            status[0] = 101
            inbox.put_nowait({"type": "websocket.receive", "text": sent.body.decode("latin-1")})
            inbox.put_nowait({"type": "websocket.receive", "bytes": sent.body})
            inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        elif kind == "websocket.close":
            status[0] = 500 if message.get("code") == 1011 else status[0] or 403
            inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})

    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            await app(scope_of(sent), inbox.get, send)
    except Exception as error:
        print(f"{sent}: {type(error).__name__}: {error}", flush=True)
        return 500
    return status[0]
