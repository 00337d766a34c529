"""A company's proxy leads to what the installation has configured, except what NO_PROXY names and this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration.network.authorities import tls_context
from orchestration.network.proxies import proxy_for
from orchestration.remote.http_client import bearer_client, post
from orchestration.temporal.connection import Connection, connect
from tests.support.certificates import authority
from tests.support.company import Proxy, serving

NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin without proxies, and with authorities that are read anew."""
    for name in (*NAMES, "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


@pytest.mark.parametrize(
    ("host", "exceptions", "proxy"),
    [
        ("canopy.test", "", "http://proxy.test:3128"),
        ("canopy.test", "canopy.test", None),
        ("canopy.test", "other.test, .test", None),
        ("canopy.test", "*.test", None),
        ("canopy.test", "*", None),
        ("canopy.test", "canopy.test:443", None),
        ("canopy.test", "canopy.test:8443", "http://proxy.test:3128"),
        ("canopy.test", "py.test", "http://proxy.test:3128"),
        ("10.1.2.3", "10.0.0.0/8", None),
        ("10.1.2.3", "10.2.0.0/16", "http://proxy.test:3128"),
        ("localhost", "", None),
        ("127.0.0.1", "", None),
        ("::1", "", None),
    ],
)
def test_no_proxy_names_hosts_suffixes_ports_and_networks(
    host: str, exceptions: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)
    assert proxy_for("https", host, 443) == proxy
    assert proxy_for("http", host, 80) is None


async def test_the_dashboard_and_temporal_are_reached_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = authority("company", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(company.file))
    with serving(company.sign("canopy.test")) as port, Proxy(port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with bearer_client("https://canopy.test", "token", timeout=30) as dashboard:
            assert await asyncio.to_thread(post, dashboard, "/", b"[]") is not None
        with pytest.raises(RuntimeError):  # at the other end is no Temporal
            await connect(Connection("temporal.test:7233", tls=True))
        with pytest.raises(RuntimeError):
            await connect(Connection("127.0.0.1:1", tls=True))
    assert proxy.asked[0] == "CONNECT canopy.test:443 HTTP/1.1"
    assert set(proxy.asked[1:]) == {"CONNECT temporal.test:7233 HTTP/1.1"}
