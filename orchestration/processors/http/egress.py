"""Egress rules: which addresses processors may connect to. The check is on the address that is connected to.

Private, loopback, link-local and other special addresses are refused unless the installation allows a host or a
network (CANOPY_HTTP_ALLOW). The check sits in the connection pool's network backend: after DNS, so that a name cannot
point elsewhere between check and connection, and for every redirect, which is a connection like any other.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

import httpcore
import httpx
from httpcore import AsyncNetworkBackend, AsyncNetworkStream
from httpcore._backends.auto import AutoBackend

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")
MAX_CONNECTIONS = 200


class AddressRefused(Exception):
    """The egress policy does not allow the address."""


@dataclass(frozen=True)
class EgressPolicy:
    """Hosts (by name) and networks that are allowed in addition to public addresses."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> Self:
        """Read host names, addresses and networks; what is neither address nor network is a name."""
        hosts, networks = set[str](), list[Network]()
        for entry in (given.strip() for given in entries):
            try:
                networks.append(ip_network(entry, strict=False))
            except ValueError:
                hosts.add(entry.lower())
        return cls(frozenset(hosts - {""}), tuple(networks))

    @classmethod
    def of_environment(cls) -> Self:
        """Read CANOPY_HTTP_ALLOW, e.g. "127.0.0.1,10.1.0.0/16,intranet.local"."""
        return cls.of(os.environ.get("CANOPY_HTTP_ALLOW", "").split(","))

    def allows(self, host: str, address: Address) -> bool:
        """Whether to allow a connection to an address to which a host name resolves."""
        if host.lower() in self.hosts or any(_is_in(address, network) for network in self.networks):
            return True
        return all(is_public(each) for each in (address, *_embedded(address)))


def is_public(address: Address) -> bool:
    """Whether an address is reachable on the public Internet."""
    return address.is_global and not address.is_multicast and not address.is_reserved


def _is_in(address: Address, network: Network) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any(each in network for each in (address, mapped) if each is not None)


def _embedded(address: Address) -> Sequence[IPv4Address]:
    """Return the IPv4 addresses embedded in an IPv6 address: mapped, 6to4, Teredo, NAT64."""
    if not isinstance(address, IPv6Address):
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


class GuardedBackend(AsyncNetworkBackend):
    """Resolves a host name, checks all its addresses, and connects to one of them."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy
        self._backend = AutoBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect. Raises AddressRefused when the host has an address that is not allowed."""
        try:
            addresses = await self.resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"The host {host} cannot be resolved: {error.strerror or error}") from error
        for address in addresses:
            if not self._policy.allows(host, address):
                raise AddressRefused(
                    f"{host} is {address}, which is not a public address. The installation can allow it with "
                    "CANOPY_HTTP_ALLOW."
                )
        return await self._connect_first(addresses, port, timeout, local_address, socket_options)

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of a host. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(ip_address(str(entry[4][0]).split("%")[0]) for entry in found))

    async def _connect_first(
        self,
        addresses: Sequence[Address],
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> AsyncNetworkStream:
        failure: Exception = httpcore.ConnectError("The host has no address.")
        for address in addresses:
            try:
                return await self._backend.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Refuse: socket files are never public."""
        raise AddressRefused("Unix sockets are not allowed.")

    async def sleep(self, seconds: float) -> None:
        """Sleep between attempts to connect."""
        await self._backend.sleep(seconds)


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over a pool that connects through a guarded backend."""

    def __init__(self, backend: GuardedBackend) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            network_backend=backend,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=15,
        )
