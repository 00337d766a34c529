"""The dashboard's public address, CANOPY_URL, in parts: scheme, host, port, path prefix; and which proxies to trust."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from dashboard.environment import is_loopback

DEFAULT_PORTS = {"http": 80, "https": 443}

PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
"""A path that needs no escaping, without dot segments."""

EVERYBODY = ("0.0.0.0/0", "::/0")

UNIX_SOCKET = "unix:"
"""In TRUSTED_PROXIES: whoever connects over a Unix socket, as nginx writes it."""

THIS_MACHINE = ("127.0.0.0/8", "::1", UNIX_SOCKET)


@dataclass(frozen=True)
class PublicAddress:
    """Where people find the dashboard. `host` has brackets if it is IPv6; `port` is None if it is the scheme's own."""

    scheme: str
    host: str
    port: int | None
    prefix: str
    """The path, such as /canopy; empty at the root of a host."""

    is_given: bool
    """Whether CANOPY_URL says so, rather than HOST and PORT."""

    @property
    def origin(self) -> str:
        """Scheme, host and port, as a browser writes them in the header Origin."""
        return f"{self.scheme}://{self.host}" + ("" if self.port is None else f":{self.port}")

    @property
    def url(self) -> str:
        """The address without a slash at its end."""
        return self.origin + self.prefix

    @property
    def is_secure(self) -> bool:
        """Whether CANOPY_URL says that browsers use TLS."""
        return self.is_given and self.scheme == "https"

    @property
    def is_for_others(self) -> bool:
        """Whether CANOPY_URL names more than this machine."""
        return self.is_given and not is_loopback(self.host)


def public_address(given: str, listens_on: str, port: str) -> PublicAddress:
    """Return the address that CANOPY_URL gives; where it is empty, that of HOST and PORT.

    Raises ImproperlyConfigured with what to write instead.
    """
    if not given.strip():
        wildcard = listens_on in ("", "*", "0.0.0.0", "::", "[::]")  # noqa: S104
        host = "localhost" if wildcard else bracketed(listens_on)
        number = int(port) if port.isdecimal() else 0
        return PublicAddress("http", host, None if number == DEFAULT_PORTS["http"] else number, "", is_given=False)
    try:
        parts = urlsplit(given.strip())
        number = parts.port or 0
    except ValueError as error:
        raise _unusable(given, str(error)) from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise _unusable(given, "it begins with https:// or http:// and a host name")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise _unusable(given, "it has no user, ? or #")
    prefix = re.sub("/{2,}", "/", parts.path).rstrip("/")
    if not PREFIX.fullmatch(prefix):
        raise _unusable(given, "its path has letters, digits, '-', '_', '.' and '~' only")
    usual = number in (0, DEFAULT_PORTS[parts.scheme])
    return PublicAddress(parts.scheme, bracketed(parts.hostname), None if usual else number, prefix, is_given=True)


def bracketed(host: str) -> str:
    """Return a host as it is written in an address and in the header Host."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def trusted_proxies(given: Iterable[str]) -> list[str]:
    """Return what TRUSTED_PROXIES names: addresses and networks, * for all, unix: for Unix sockets.

    Raises ImproperlyConfigured for anything else, such as a host name.
    """
    found = list[str]()
    for each in filter(None, map(str.strip, given)):
        if each in ("*", UNIX_SOCKET):
            found += [*EVERYBODY, UNIX_SOCKET] if each == "*" else [each]
            continue
        try:
            ip_network(each, strict=False)
        except ValueError:
            raise ImproperlyConfigured(
                f"TRUSTED_PROXIES has {each!r}, which is no address and no network: name the proxy's address, or a "
                "network such as 10.0.0.0/8."
            ) from None
        found.append(each)
    return found


def _unusable(given: str, reason: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"CANOPY_URL is {given!r}, which is no address of a dashboard ({reason}). Give the address that people open, "
        "such as https://canopy.example.org or https://example.org/canopy."
    )
