"""/livez, /readyz, /healthz and /metrics of a web process, before anything of Django's has seen the request.

Probes come by the address of a pod, over HTTP, from nobody known. They are answered by the event loop itself: no limit
of requests, no thread that others wait for, no host name and no redirect is between.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from dashboard.environment import is_loopback
from dashboard.health.checks import needed_by_batches, needed_to_serve
from dashboard.health.gauges import open_batches
from dashboard.resources import version
from dashboard.server.drain import is_draining
from orchestration.telemetry import registry
from orchestration.telemetry.checks import DRAINING, answer, find_all

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]
Response = tuple[int, str, bytes]

JSON = "application/json"
FORWARDING = {b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"forwarded", b"via"}
"""Headers of a proxy: who sends one of them is not the one who asks."""

DENIED = """Metrics are for Prometheus: send `Authorization: Bearer` with CANOPY_METRICS_TOKEN, or set CANOPY_METRICS
to an address of their own, such as 0.0.0.0:9090. Without either they are shown on this machine alone, as long as
CANOPY_URL is an address of this machine.
"""

_metrics_thread = ThreadPoolExecutor(1, thread_name_prefix="metrics")


def answering_probes(app: App) -> App:
    """Return an ASGI application that answers probes, and leaves everything else to another."""

    async def serve(scope: Scope, receive: Any, send: Any) -> None:
        route = _route(scope) if scope["type"] == "http" else None
        if route is None:
            await app(scope, receive, send)
            return
        status, kind, body = (405, JSON, b"{}") if scope["method"] not in ("GET", "HEAD") else await route(scope)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
        headers += [(b"retry-after", b"5")] if status == 503 else [(b"allow", b"GET, HEAD")] if status == 405 else []
        headers += [(b"www-authenticate", b"Bearer")] if status == 401 else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return serve


VERSION = version()


def _route(scope: Scope) -> Callable[[Scope], Awaitable[Response]] | None:
    """Return what answers an address, also where it has the path prefix of the installation."""
    path = scope["path"]
    for prefix in (scope.get("root_path") or "", settings.FORCE_SCRIPT_NAME or ""):
        path = path.removeprefix(prefix.rstrip("/"))
    return ROUTES.get(path.rstrip("/"))


async def _live(scope: Scope) -> Response:
    return _json(200, {"status": "ok"})


async def _ready(scope: Scope) -> Response:
    return _json(503, DRAINING) if is_draining() else _json(*answer(await find_all(needed_to_serve())))


async def _health(scope: Scope) -> Response:
    status, found = answer(await find_all(needed_by_batches()))
    return _json(status, {**found, "version": VERSION})


async def _metrics(scope: Scope) -> Response:
    if not _may_read_metrics(scope):
        return 401, "text/plain; charset=utf-8", DENIED.encode()
    return 200, registry.CONTENT_TYPE, await metrics()


async def metrics() -> bytes:
    """Return all metrics of this process, with fresh looks at neighbours and open batches. Takes a second at most."""
    await asyncio.gather(find_all(needed_by_batches()), open_batches.refresh())
    return await asyncio.get_running_loop().run_in_executor(_metrics_thread, registry.metrics_text)


def _may_read_metrics(scope: Scope) -> bool:
    """Whether the token came with a request, or it is one of this machine to an installation of this machine."""
    headers: Mapping[bytes, bytes] = {name.lower(): value for name, value in scope["headers"]}
    if token := settings.CANOPY_METRICS_TOKEN:
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), token.encode())
    if not is_for_this_machine() or FORWARDING & headers.keys():
        return False
    host = urlsplit(f"//{headers.get(b'host', b'').decode('latin-1')}").hostname or ""
    return _is_loopback((scope.get("client") or ("",))[0]) and is_loopback(host)


def is_for_this_machine() -> bool:
    """Whether nothing says that others reach the installation: what it listens on, TLS, its public address."""
    return not settings.NEW_PASSWORD_REQUIRED and is_loopback(urlsplit(settings.CANOPY_URL).hostname or "")


def _is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False


def _json(status: int, body: Mapping[str, Any]) -> Response:
    return status, JSON, json.dumps(body).encode()


ROUTES = {"/livez": _live, "/readyz": _ready, "/healthz": _health, "/metrics": _metrics}
