"""Where a connection comes from: the one place that knows whom to believe about it.

`X-Forwarded-For` counts only as far as it was written by addresses in TRUSTED_PROXIES. Throttling, limits and whatever
else depends on the address ask here, with Django's request or an ASGI scope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address
App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

UNKNOWN = "unknown"
"""The address of a connection that has none, such as one over a Unix socket."""

SUBSCRIBER_PREFIX = 64
"""Bits of an IPv6 address that one subscriber's addresses have in common (RFC 6177)."""


def client_address(request: HttpRequest) -> str:
    """Return the address of whoever sent a request."""
    return _address(request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", ""))


def storable_address(request: HttpRequest) -> str | None:
    """Return the address under which log-ins are counted; None, which a database's column takes, for UNKNOWN."""
    address = limited_as(client_address(request))
    return None if address == UNKNOWN else address


def client_address_of(scope: Mapping[str, Any]) -> str:
    """Return the address of whoever opened an ASGI connection."""
    given = [value for name, value in scope.get("headers", ()) if name.lower() == b"x-forwarded-for"]
    return _address((scope.get("client") or ("",))[0], b",".join(given).decode("latin-1"))


def limited_as(address: str) -> str:
    """Return what limits count an address as: itself, or the first of an IPv6 subscriber's, who has 2^64 of them."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, SUBSCRIBER_PREFIX), strict=False).network_address)
    return address


def is_trusted_proxy(peer: str) -> bool:
    """Whether the other end of a socket is one of TRUSTED_PROXIES."""
    address = _parsed(peer)
    return address is not None and any(address in network for network in _networks(settings.TRUSTED_PROXIES))


def with_peer_address(app: App) -> App:
    """Return an ASGI application whose scopes have the address of the other end of the socket.

    uvicorn by default replaces it by what X-Forwarded-For says on any connection from 127.0.0.1.
    """

    async def answered(scope: dict[str, Any], receive: Any, send: Any) -> None:
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        if transport is not None and scope["type"] in ("http", "websocket"):
            peer = transport.get_extra_info("peername")
            scope["client"] = tuple(peer[:2]) if isinstance(peer, tuple) else None
        await app(scope, receive, send)

    return answered


def _address(peer: str, forwarded: str) -> str:
    """Return the last address on the way here that is no trusted proxy's, or the first if all are."""
    current = _parsed(peer)
    if current is None:
        return UNKNOWN
    trusted = _networks(settings.TRUSTED_PROXIES)
    for claimed in reversed(forwarded.split(",") if trusted else []):
        if not any(current in network for network in trusted):
            break
        if (before := _parsed(claimed)) is None:
            break
        current = before
    return str(current)


def _parsed(given: str) -> Address | None:
    """Return an address that was given with or without a port; None for anything else."""
    bare = given.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        parsed = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed


def _networks(given: Sequence[str]) -> list[IPv4Network | IPv6Network]:
    return [ip_network(each.strip(), strict=False) for each in given]
