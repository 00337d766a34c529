"""Measures every request, and says in each line of the log that it writes which request it is.

Around the whole application, so that refusals count which Django never sees.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpRequest

from dashboard.metrics import definitions as metrics
from orchestration.telemetry import log_context

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

ABOUT = "canopy.about"
"""Key of a connection's scope: a dict with what the log says of a request, which whoever finds out more adds to."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
GIVEN_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,64}")
"""What is taken over from X-Request-ID: a proxy's log has the same."""

UNROUTED, STATIC = "none", "static"
"""Routes of addresses that lead nowhere, or were refused before anybody looked, and of static files."""

ABORTED = "499"
"""Status of a request whose client left before it was answered, as nginx has it."""


def measured(app: App, static_url: str) -> App:
    """Return an ASGI application that measures requests and counts websockets of another."""

    async def serve(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await _Request(scope, static_url).serve(app, receive, send)
        else:
            await app(scope, receive, send)

    return serve


class _Request:
    def __init__(self, scope: Scope, static_url: str) -> None:
        given = next((value for name, value in scope["headers"] if name.lower() == b"x-request-id"), b"")
        self._id = given.decode() if GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        self._method = scope["method"] if scope["method"] in METHODS else "other"
        self._about: dict[str, Any] = {"request": self._id, "method": self._method}
        self._scope, self._static_url, self._status = scope | {ABOUT: self._about}, static_url, ABORTED

    async def serve(self, app: App, receive: Any, send: Any) -> None:
        began = time.monotonic()

        async def noting(message: Scope) -> None:
            if message["type"] == "http.response.start":
                self._status = str(message["status"])
                message = message | {"headers": [*message["headers"], (b"x-request-id", self._id.encode())]}
            await send(message)

        metrics.requests_in_flight.inc()
        try:
            with log_context.shared(self._about):
                await app(self._scope, receive, noting)
        except Exception:
            self._status = "500" if self._status == ABORTED else self._status
            raise
        finally:
            metrics.requests_in_flight.dec()
            route = self._about.get("route") or self._unrouted
            metrics.requests.labels(route, self._method, self._status).inc()
            metrics.request_seconds.labels(route, self._method).observe(time.monotonic() - began)

    @property
    def _unrouted(self) -> str:
        return STATIC if self._scope["path"].startswith(self._static_url) else UNROUTED


def note_route(request: HttpRequest) -> None:
    """Note the name of the route that a request has been found to lead to."""
    about, match = _about(request), request.resolver_match
    if about is not None and match is not None:
        about["route"] = match.url_name or match.view_name or UNROUTED


def note_person(request: HttpRequest, person: Any) -> None:
    """Note who sends a request."""
    about = _about(request)
    if about is not None:
        about["user"] = person.get_username()


def _about(request: HttpRequest) -> dict[str, Any] | None:
    scope: Scope = getattr(request, "scope", {})
    return scope.get(ABOUT)
