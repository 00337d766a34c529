"""Handshakes that no consumer can answer end in HTTP, with a reason; none is an error of the server."""

from __future__ import annotations

from typing import Any

import pytest

from dashboard.live.handshake import answering_outages
from tests.fuzz.asgi_client import Sent, answer, scope_of


async def passed(scope: Any, receive: Any, send: Any) -> None:
    """Stand for the consumers: accept."""
    await send({"type": "websocket.accept"})


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/ws/batches/", 101),
        ("/ws/batches/abc/?revision=7", 101),
        ("/ws/batches/abc/?revision=" + "9" * 100, 101),
        ("/ws/nowhere/", 404),
        ("/", 404),
        ("/batches/", 404),
        ("/ws/batches/a%00b/", 400),
        ("/ws/batches/abc/?revision=%00", 400),
        ("/ws/batches/abc/?revision=%ed%a0%80", 400),
        ("/ws/batches/abc/?revision=\xff", 400),
        ("/ws/batches/abc/?x=" + "1" * 5_000, 400),
    ],
)
async def test_a_handshake_is_answered(target: str, status: int) -> None:
    assert await answer(answering_outages(passed), Sent("WEBSOCKET", target.encode("latin-1"))) == status


async def test_a_server_that_cannot_answer_in_http_closes_the_socket() -> None:
    sent = list[dict[str, Any]]()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = scope_of(Sent("WEBSOCKET", b"/ws/nowhere/")) | {"extensions": {}}
    await answering_outages(passed)(scope, None, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
