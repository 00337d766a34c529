"""Handshakes of websockets while the database is away: a 503 that says when to try again, and a line in the log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from dashboard.live.consumers import TRY_AGAIN_LATER
from dashboard.server.outages import outage_of
from dashboard.server.problems import RETRY_AFTER
from orchestration.errors.texts import first_line

log = logging.getLogger(__name__)

DENIAL = "websocket.http.response"
"""The ASGI extension with which a server answers a handshake in HTTP."""

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def answering_outages(app: App) -> App:
    """Return a websocket application that refuses a connection as long as what it needs is away."""

    async def answered(scope: dict[str, Any], receive: Any, send: Any) -> None:
        started = False

        async def noting(message: dict[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await app(scope, receive, noting)
        except Exception as error:
            if outage_of(error) is None:
                raise
            log.warning("%s is refused for now: %s", scope["path"], first_line(error))
            await _refuse(scope, send, started=started)

    return answered


async def _refuse(scope: dict[str, Any], send: Any, *, started: bool) -> None:
    if started or DENIAL not in scope.get("extensions", {}):
        with contextlib.suppress(Exception):  # it may be closed already
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
        return
    headers = [(b"retry-after", str(RETRY_AFTER).encode()), (b"content-length", b"0")]
    await send({"type": f"{DENIAL}.start", "status": 503, "headers": headers})
    await send({"type": f"{DENIAL}.body", "body": b""})
