"""The body of a request, read within the limits of size and time, and small ones before anything is done about them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from django.conf import settings

from dashboard.server.limits.refusals import BodyTooLarge, BodyTooSlow

READ_AHEAD = 64 * 1024
"""Bytes of a body that are kept in memory before a request takes a place among those at work."""

PACE = 1024
"""Bytes a second that a body has to arrive with on average, after SLOW_START."""

SLOW_START = 30.0
"""Seconds that a body may take however small it is."""

GRACE = 1.0
"""Seconds for what arrived while the event loop was busy."""


class Body:
    """The body of one request. `receive` is for the application in place of the server's."""

    def __init__(self, scope: dict[str, Any], receive: Any) -> None:
        self._receive = receive
        self._kept = deque[dict[str, Any]]()
        self._size = 0
        self._waited = 0.0
        self.limit = READ_AHEAD
        headers = {name.lower(): value for name, value in scope["headers"]}
        given = headers.get(b"content-length", b"0")
        self.declared = int(given) if given.isdigit() and len(given) < 20 else 0
        self._is_chunked = b"transfer-encoding" in headers
        self.is_complete = not self._is_chunked and self.declared == 0

    @property
    def may_be_large(self) -> bool:
        """Whether there may be more than is read ahead."""
        return self._is_chunked or self.declared > READ_AHEAD

    async def read_ahead(self) -> None:
        """Read a small body as a whole. Raises BodyTooLarge, without reading if its length is declared; BodyTooSlow."""
        if self.declared > self.limit:
            raise BodyTooLarge(self.limit)
        while not self.is_complete and self.declared <= READ_AHEAD and self._size <= READ_AHEAD:
            self._kept.append(await self._next())

    async def receive(self) -> dict[str, Any]:
        """Return the next message. Raises BodyTooLarge, BodyTooSlow."""
        if self._kept:
            return self._kept.popleft()
        message: dict[str, Any] = await (self._receive() if self.is_complete else self._next())
        return message

    async def _next(self) -> dict[str, Any]:
        message = await self._arrived()
        self._size += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            self.is_complete = True
        if self._size > self.limit:
            raise BodyTooLarge(self.limit)
        if not self.is_complete and self._waited > SLOW_START + self._size / PACE:
            raise BodyTooSlow
        return message

    async def _arrived(self) -> dict[str, Any]:
        """Return what the server received within the time limit. What arrived while the loop was busy is in time."""
        clock = asyncio.get_running_loop().time
        began, idle = clock(), settings.CANOPY_BODY_IDLE_SECONDS
        arriving = asyncio.ensure_future(self._receive())
        try:
            for seconds in (idle, GRACE):
                done, _ = await asyncio.wait({arriving}, timeout=seconds)
                if done:
                    self._waited += min(clock() - began, idle)
                    message: dict[str, Any] = arriving.result()
                    return message
        finally:
            arriving.cancel()
        raise BodyTooSlow
