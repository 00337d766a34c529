"""Which proxy of the environment leads to a host: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, as curl has it."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address, ip_network
from urllib.request import getproxies_environment


def proxy_for(scheme: str, host: str, port: int | None = None) -> str | None:
    """Return the URL of the proxy for a host; None for a direct connection. This machine is always reached directly."""
    proxies = getproxies_environment()  # it leaves HTTP_PROXY out where a web server may have set it from a header
    found = proxies.get(scheme) or proxies.get("all")
    host = host.strip("[]").lower()
    if not found or _is_this_machine(host) or _is_excepted(host, port, proxies.get("no", "")):
        return None
    return found if "://" in found else f"http://{found}"


def _is_this_machine(host: str) -> bool:
    with suppress(ValueError):
        return ip_address(host.partition("%")[0]).is_loopback
    return host == "localhost"


def _is_excepted(host: str, port: int | None, exceptions: str) -> bool:
    """Whether NO_PROXY names a host: by *, its name or a suffix of it, with a port or without, or by a network."""
    for entry in (each.strip().lower() for each in exceptions.split(",")):
        name = entry.removeprefix("*").lstrip(".")
        if entry == "*" or (name and (f".{host}".endswith(f".{name}") or f".{host}:{port}".endswith(f".{name}"))):
            return True
        with suppress(ValueError):
            if ip_address(host) in ip_network(entry, strict=False):
                return True
    return False
