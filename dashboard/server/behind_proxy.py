"""What a reverse proxy makes of a connection is undone: the peer's address, the browser's scheme, the whole path.

A proxy may pass the path prefix of CANOPY_URL on or take it away. Within, `path` has it and `root_path` is it, as ASGI
wants, and every address that is reversed begins with it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings
from django.urls import set_script_prefix

from dashboard.server.client_address import believes_scheme, is_trusted_proxy
from dashboard.server.throttle import Throttle

log = logging.getLogger(__name__)

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

SECURE = {"http": "https", "websocket": "wss"}
PLAIN = {"http": "http", "websocket": "ws"}

WARNED = Throttle(1, 3600.0)
WARNINGS = Throttle(20, 3600.0)
"""A proxy that is not believed is named once an hour, and no more than 20 are: any stranger may send the header."""


def behind_proxy(app: App) -> App:
    """Return an ASGI application whose scopes are as the browser had them.

    uvicorn by default replaces client and scheme by what headers say on any connection from 127.0.0.1.
    """

    async def answered(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] not in SECURE:
            await app(scope, receive, send)
            return
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        if transport is not None:
            peer = transport.get_extra_info("peername")
            scope["client"] = tuple(peer[:2]) if isinstance(peer, tuple) else None
        scope["scheme"] = (SECURE if _is_secure(scope, transport) else PLAIN)[scope["type"]]
        _warn_of_disbelief(scope)
        _place(scope)
        if scope["type"] == "http" and scope["path"] == scope["root_path"] != "":
            await _add_slash(scope, send)
        else:
            await app(scope, receive, send)

    return answered


def path_within(scope: Mapping[str, Any]) -> str:
    """Return the path of a connection below the prefix, as the site map has it."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))


def _place(scope: dict[str, Any]) -> None:
    """Set path and prefix, and the prefix of addresses that are reversed while this connection is served."""
    own = str(scope.get("root_path") or "").rstrip("/")  # of uvicorn's --root-path, which it has put before the path
    prefix = settings.FORCE_SCRIPT_NAME or own
    within = _without(_without(scope["path"], own), prefix)
    scope["root_path"], scope["path"] = prefix, prefix + within
    set_script_prefix(prefix)


def _without(path: str, prefix: str) -> str:
    return path[len(prefix) :] if prefix and (path == prefix or path.startswith(f"{prefix}/")) else path


def _is_secure(scope: Mapping[str, Any], transport: Any) -> bool:
    """Whether the browser speaks TLS: to this process, or to the proxy that says so."""
    if transport is None:
        ends_here = scope.get("scheme") in SECURE.values()
    else:
        ends_here = transport.get_extra_info("sslcontext") is not None
    return ends_here or (_said(scope, b"x-forwarded-proto") in SECURE.values() and believes_scheme(_peer(scope)))


def _said(scope: Mapping[str, Any], header: bytes) -> str:
    """Return the first of the values that proxies have given in a header: that of the one next to the browser."""
    found = next((value for name, value in scope["headers"] if name.lower() == header), b"")
    return str(found.decode("latin-1")).partition(",")[0].strip().lower()


def _peer(scope: Mapping[str, Any]) -> str:
    return str((scope.get("client") or ("",))[0])


def _warn_of_disbelief(scope: Mapping[str, Any]) -> None:
    """Say in the log that a peer which seems to be a proxy is none that is trusted."""
    peer = _peer(scope)
    if not _said(scope, b"x-forwarded-for") or is_trusted_proxy(peer) or not WARNED.take(peer):
        return
    if WARNINGS.take(""):
        log.warning(
            "%s sends X-Forwarded-For, and is not believed: whoever comes through it counts as one address, which ten "
            "wrong passwords lock, and HTTPS is not seen. If it is your proxy, set TRUSTED_PROXIES=%s.",
            peer or "A Unix socket",
            peer or "unix:",
        )


async def _add_slash(scope: Mapping[str, Any], send: Any) -> None:
    """Redirect from the prefix to the first page below it."""
    query = f"?{scope['query_string'].decode('latin-1')}" if scope.get("query_string") else ""
    headers = [(b"location", f"{scope['root_path']}/{query}".encode("latin-1")), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 307, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
