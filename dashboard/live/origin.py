"""Which web pages may open a websocket: those of this dashboard, by scheme, host and port, as for its forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from dashboard.address.public_address import DEFAULT_PORTS

Origin = tuple[str, str, int]


class SameOrigin:
    """Websocket middleware that refuses what Django refuses for a form: a page that is not of this origin.

    Other origins are those of CSRF_TRUSTED_ORIGINS. A connection without Origin is refused too: browsers send it.
    """

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        """Pass a connection on, or deny it."""
        application = self._application if is_allowed(scope) else WebsocketDenier()
        return await application(scope, receive, send)


def is_allowed(scope: Mapping[str, Any]) -> bool:
    """Whether the page that opens a websocket is one of this dashboard."""
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    origins = [value for name, value in scope["headers"] if name.lower() == b"origin"]
    given = _parsed(headers.get(b"origin", "")) if len(origins) == 1 else None
    if given is None:
        return False
    scheme = "https" if scope.get("scheme") == "wss" else "http"
    host = headers.get(b"host", "")
    domain, _port = split_domain_port(host)
    allowed = settings.ALLOWED_HOSTS or ([".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
    if domain and validate_host(domain, allowed) and _parsed(f"{scheme}://{host}") == given:
        return True
    return any(_is_trusted(given, trusted) for trusted in settings.CSRF_TRUSTED_ORIGINS)


def _is_trusted(given: Origin, trusted: str) -> bool:
    """Whether an origin is a trusted one, or a subdomain where that is `https://*.example.org`."""
    if "//*." not in trusted:
        return _parsed(trusted) == given
    parent = _parsed(trusted.replace("*.", "", 1))
    return parent is not None and given[0] == parent[0] and given[2] == parent[2] and given[1].endswith(f".{parent[1]}")


def _parsed(origin: str) -> Origin | None:
    """Return scheme, host and port of an origin; None for what is none, such as "null"."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc or parts.path not in ("", "/"):
        return None
    return parts.scheme, parts.hostname, DEFAULT_PORTS[parts.scheme] if port is None else port
