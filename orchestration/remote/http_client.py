"""The HTTP client of a dashboard's API, with a token."""

from __future__ import annotations

import socket
from typing import Any

import httpx

from orchestration.errors.texts import named
from orchestration.network.authorities import is_untrusted, tls_context
from orchestration.network.proxies import proxy_for
from orchestration.telemetry import tracing

JSON = "application/json"

CONNECT_TIMEOUT = 5.0
"""Seconds."""

PROBES = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 10_000}
"""A host that vanished during a call is noticed after about ten seconds: seconds, seconds, number, milliseconds."""


def bearer_client(url: str, token: str, *, timeout: float) -> httpx.Client:
    """Return a client of the dashboard at an address; `timeout` in seconds.

    A company's authorities (SSL_CERT_FILE) and its proxy (HTTPS_PROXY, NO_PROXY) count.
    """
    address = httpx.URL(url)
    headers = {"Authorization": f"Bearer {token}"}
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    options += [(socket.IPPROTO_TCP, getattr(socket, name), at) for name, at in PROBES.items() if hasattr(socket, name)]
    return httpx.Client(
        base_url=url.rstrip("/"),
        headers=headers,
        timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECT_TIMEOUT)),
        transport=httpx.HTTPTransport(
            verify=tls_context(),
            proxy=proxy_for(address.scheme, address.host, address.port),
            trust_env=False,
            socket_options=options,
        ),
        trust_env=False,
    )


def reason_of(error: httpx.TransportError) -> str:
    """Return why there was no answer, and what to set where the dashboard's certificate is not trusted."""
    advice = ": name the authority of its certificate in SSL_CERT_FILE" if is_untrusted(error) else ""
    return named(error) + advice


def post(client: httpx.Client, path: str, body: bytes, kind: str = JSON, **query: Any) -> httpx.Response:
    """Post a body of a content type, JSON by default. Raises httpx.HTTPError where there is no answer."""
    headers = {"Content-Type": kind}
    tracing.carry(headers)
    return client.post(path, content=body, params=query, headers=headers)
