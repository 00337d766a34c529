"""The ASGI application around Django: nothing is read, kept or begun for a request beyond the limits of its client.

Django itself writes every body to disk before it looks at the address or the person.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from django.conf import settings

from dashboard.server.behind_proxy import path_within
from dashboard.server.client_address import client_address_of, limited_as
from dashboard.server.limits.bodies import Body
from dashboard.server.limits.places import Places
from dashboard.server.limits.refusals import CLOSE, Overloaded, Refused, TooManyRequests, refuse
from dashboard.server.limits.routes import WORKERS, body_limit, route_name

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
WhoIs = Callable[[Scope], Awaitable[str | None]]
"""Returns a name for the person whose valid session or token came with a request, else None."""

WAIT = 10.0
"""Seconds that a request waits for a place: a burst is served in turn."""

UNASKED = 8
"""Requests of an address that are served without asking who sends them, which takes a query."""

DENIAL = "websocket.http.response"
"""The ASGI extension with which a server answers a handshake in HTTP."""


class Limited:
    """An ASGI application whose requests and websockets are within the limits."""

    def __init__(self, app: App, who_is: WhoIs) -> None:
        self._app, self._who_is = app, who_is
        self._at_work = 0
        self._requests_of_people = Places(lambda: settings.CANOPY_REQUESTS_PER_PERSON)
        self._requests_of_addresses = Places(lambda: settings.CANOPY_REQUESTS_PER_ADDRESS)
        self._sockets_of_people = Places(lambda: settings.CANOPY_SOCKETS_PER_PERSON)
        self._sockets_of_addresses = Places(lambda: settings.CANOPY_SOCKETS_PER_ADDRESS)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Serve a connection."""
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Any, send: Any) -> None:
        body, has_begun = Body(scope, receive), False

        async def noting(message: dict[str, Any]) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            if body.may_be_large:
                is_known = await self._who_is(scope) is not None
                body.limit = body_limit(route_name(path_within(scope)), is_known=is_known)
            await body.read_ahead()
            async with self._place_at_work(scope):
                await self._app(scope, body.receive, noting)
        except Refused as refused:
            if has_begun:
                raise
            await refuse(scope, receive, send, refused, has_body=body.is_complete)

    @asynccontextmanager
    async def _place_at_work(self, scope: Scope) -> AsyncIterator[None]:
        """Have a place of the process, and one of the address or, where that has some at work, of the person."""
        address, person = _address(scope), None
        if self._requests_of_addresses.users(address) >= UNASKED:
            person = await self._who_is(scope)
        if person is not None and route_name(path_within(scope)) in WORKERS:
            async with self._place_of_process():
                yield
            return
        places = self._requests_of_addresses if person is None else self._requests_of_people
        async with places.taken(person or address, WAIT), self._place_of_process():
            yield

    @asynccontextmanager
    async def _place_of_process(self) -> AsyncIterator[None]:
        if self._at_work >= settings.CANOPY_REQUESTS:
            raise Overloaded
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    async def _socket(self, scope: Scope, receive: Any, send: Any) -> None:
        person = await self._who_is(scope)
        places = self._sockets_of_addresses if person is None else self._sockets_of_people
        try:
            async with places.taken(person or _address(scope), wait=0):
                await self._app(scope, receive, send)
        except TooManyRequests as refused:
            await _refuse_handshake(scope, receive, send, refused)


def _address(scope: Scope) -> str:
    return limited_as(client_address_of(scope))


async def _refuse_handshake(scope: Scope, receive: Any, send: Any, refused: Refused) -> None:
    await receive()
    if DENIAL not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1013})
        return
    headers = [CLOSE, (b"content-length", b"0"), (b"retry-after", str(refused.retry_after).encode())]
    await send({"type": f"{DENIAL}.start", "status": refused.status, "headers": headers})
    await send({"type": f"{DENIAL}.body", "body": b""})
