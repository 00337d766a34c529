"""Where a connection comes from: the one place that knows whom to believe about it.

`X-Forwarded-For` counts only as far as it was written by addresses in TRUSTED_PROXIES. Throttling, limits and whatever
else depends on the address ask here, with Django's request or an ASGI scope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from dashboard.address.public_address import UNIX_SOCKET

Address = IPv4Address | IPv6Address

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
    """Whether the other end of a socket is one of TRUSTED_PROXIES; nothing is the other end of a Unix socket."""
    return _is_one_of(peer, _parsed(peer), settings.TRUSTED_PROXIES)


def believes_scheme(peer: str) -> bool:
    """Whether the other end of a socket is believed about the browser's scheme; by default whoever is on this machine.

    A wrong one harms nobody but its sender, so that a proxy beside the dashboard needs no setting for it.
    """
    if settings.TRUSTED_PROXIES:
        return is_trusted_proxy(peer)
    address = _parsed(peer)
    return address is None or address.is_loopback


def _address(peer: str, forwarded: str) -> str:
    """Return the last address on the way here that is no trusted proxy's, or the first if all are."""
    trusted, current = settings.TRUSTED_PROXIES, _parsed(peer)
    for claimed in reversed(forwarded.split(",") if trusted else []):
        if not _is_one_of(peer, current, trusted):
            break
        if (before := _parsed(claimed)) is None:
            break
        current = before
    return UNKNOWN if current is None else str(current)


def _is_one_of(peer: str, address: Address | None, trusted: Sequence[str]) -> bool:
    if address is None:
        return not peer and UNIX_SOCKET in trusted
    return any(address in network for network in _networks(tuple(trusted)))


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


@lru_cache(maxsize=8)
def _networks(given: tuple[str, ...]) -> list[IPv4Network | IPv6Network]:
    return [ip_network(each.strip(), strict=False) for each in given if each != UNIX_SOCKET]
