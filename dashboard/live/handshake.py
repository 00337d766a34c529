"""Handshakes of websockets: an address that nobody can look for, or that there is none of, is answered in HTTP.

So is an outage of what a socket needs: a 503 that says when to try again, and a line in the log.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from dashboard.live.consumers import TRY_AGAIN_LATER
from dashboard.live.routing import websocket_urlpatterns
from dashboard.server.behind_proxy import path_within
from dashboard.server.outages import outage_of
from dashboard.server.problems import RETRY_AFTER, UNFINDABLE
from orchestration.errors.texts import first_line

log = logging.getLogger(__name__)

DENIAL = "websocket.http.response"
"""The ASGI extension with which a server answers a handshake in HTTP."""

REFUSED = 1008
"""Close code for a server without that extension: the request is against the rules."""

LONGEST = 2_000
"""Bytes of an address; those of Canopy's sockets have less than 100."""

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def answering_outages(app: App) -> App:
    """Return a websocket application that refuses a connection as long as what it needs is away.

    What cannot be read is refused with 400, and an address that there is none of with 404.
    """
    patterns = [each.pattern for each in websocket_urlpatterns]

    async def answered(scope: dict[str, Any], receive: Any, send: Any) -> None:
        started = False

        async def noting(message: dict[str, Any]) -> None:
            nonlocal started
            started = True
            await send(message)

        if _is_unreadable(scope):
            await _refuse(scope, send, 400)
        elif not any(pattern.match(path_within(scope).lstrip("/")) for pattern in patterns):
            await _refuse(scope, send, 404)
        else:
            try:
                await app(scope, receive, noting)
            except Exception as error:
                if outage_of(error) is None:
                    raise
                log.warning("%s is refused for now: %s", scope["path"], first_line(error))
                await _refuse(scope, send, 503, started=started)

    return answered


def _is_unreadable(scope: dict[str, Any]) -> bool:
    """Whether an address has a character that cannot be looked for, or is too long."""
    path, query = scope["path"], scope["query_string"]
    if len(path) + len(query) > LONGEST or not query.isascii():
        return True
    return any(UNFINDABLE.search(each) for each in (path, unquote(query.decode("ascii"), errors="surrogateescape")))


async def _refuse(scope: dict[str, Any], send: Any, status: int, *, started: bool = False) -> None:
    if started or DENIAL not in scope.get("extensions", {}):
        with contextlib.suppress(Exception):  # it may be closed already
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER if status == 503 else REFUSED})
        return
    headers = [(b"content-length", b"0"), (b"cache-control", b"no-store")]
    if status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER).encode()))
    await send({"type": f"{DENIAL}.start", "status": status, "headers": headers})
    await send({"type": f"{DENIAL}.body", "body": b""})
