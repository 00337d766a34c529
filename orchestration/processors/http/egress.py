"""Egress rules: which addresses processors may connect to. The check is on the address that is connected to.

Only public addresses are allowed (`public_addresses`), and what the installation allows in addition, by host or
network (CANOPY_HTTP_ALLOW). The check sits in the connection pool's network backend: after DNS, and what is connected
to is the address that was checked, so that a name cannot point elsewhere in between; TLS still asks for the name. It
holds for every redirect, which is a connection like any other.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Self

import httpcore
import httpx
from httpcore import AsyncNetworkBackend, AsyncNetworkStream
from httpcore._backends.auto import AutoBackend

from orchestration.network.authorities import tls_context
from orchestration.processors.http.public_addresses import METADATA, Address, Network, why_not_public

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
        return self.why_refused(host, address) is None

    def why_refused(self, host: str, address: Address) -> str | None:
        """Return what an address is, as a phrase, if it may not be connected to; None if it may.

        A metadata service of a cloud is allowed only by its address or by a name, not by a network around it.
        """
        if host.lower().rstrip(".") in self.hosts or any(_allows(network, address) for network in self.networks):
            return None
        return why_not_public(address)


def is_public(address: Address) -> bool:
    """Whether an address is reachable on the public Internet."""
    return why_not_public(address) is None


def _allows(network: Network, address: Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return any(
        each in network and (each not in METADATA or network.num_addresses == 1)
        for each in (address, mapped)
        if each is not None
    )


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
        except (OSError, UnicodeError) as error:  # a name that cannot be written in IDNA is no OSError
            reason = getattr(error, "strerror", None) or error
            raise httpcore.ConnectError(f"The host {host} cannot be resolved: {reason}") from error
        for address in addresses:
            if (reason := self._policy.why_refused(host, address)) is not None:
                raise AddressRefused(
                    f"{host} is {address}, which is not a public address ({reason}). The installation can allow it "
                    "with CANOPY_HTTP_ALLOW."
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
        super().__init__(verify=tls_context(), trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls_context(),
            network_backend=backend,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=15,
        )
