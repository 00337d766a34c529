"""A websocket is opened by pages of this dashboard only: scheme, host and port are compared."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from dashboard.live.origin import is_allowed


def allowed(origin: str | None, host: str = "canopy.example.org", scheme: str = "ws", **headers: str) -> bool:
    given = {"host": host, **({"origin": origin} if origin is not None else {}), **headers}
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()]
    return is_allowed({"scheme": scheme, "headers": sent})


@pytest.fixture(autouse=True)
def hosts(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["canopy.example.org", "127.0.0.1"]
    settings.CSRF_TRUSTED_ORIGINS = []


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        ("http://canopy.example.org", "canopy.example.org", "ws"),
        ("http://canopy.example.org:80", "canopy.example.org", "ws"),
        ("http://CANOPY.example.org", "canopy.example.org", "ws"),
        ("https://canopy.example.org", "canopy.example.org", "wss"),
        ("https://canopy.example.org:8443", "canopy.example.org:8443", "wss"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "ws"),
    ],
)
def test_pages_of_the_same_origin_may(origin: str, host: str, scheme: str) -> None:
    assert allowed(origin, host, scheme)


@pytest.mark.parametrize(
    ("origin", "host", "scheme"),
    [
        (None, "canopy.example.org", "ws"),
        ("null", "canopy.example.org", "ws"),
        ("", "canopy.example.org", "ws"),
        ("https://canopy.example.org", "canopy.example.org", "ws"),
        ("http://canopy.example.org", "canopy.example.org", "wss"),
        ("http://canopy.example.org:8000", "canopy.example.org", "ws"),
        ("http://127.0.0.1:8000", "127.0.0.1:9000", "ws"),
        ("http://127.0.0.1", "canopy.example.org", "ws"),
        ("http://evil.example", "evil.example", "ws"),
        ("http://canopy.example.org.evil.example", "canopy.example.org", "ws"),
        ("http://canopy.example.org@evil.example", "canopy.example.org", "ws"),
        ("http://canopy.example.org:port", "canopy.example.org", "ws"),
        ("file://", "canopy.example.org", "ws"),
    ],
)
def test_others_may_not(origin: str | None, host: str, scheme: str) -> None:
    assert not allowed(origin, host, scheme)


def test_two_origins_are_none() -> None:
    header = (b"origin", b"http://canopy.example.org")
    assert not is_allowed({"scheme": "ws", "headers": [(b"host", b"canopy.example.org"), header, header]})


def test_trusted_origins_may_as_they_may_send_forms(settings: Settings) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://canopy.example.org", "https://*.example.net"]
    assert allowed("https://canopy.example.org")
    assert allowed("https://a.b.example.net")
    assert not allowed("http://a.example.net")
    assert not allowed("https://example.net.evil.example")
    assert not allowed("https://example.net")
