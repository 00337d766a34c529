"""X-Forwarded-For is believed from trusted proxies only."""

from __future__ import annotations

import pytest
from django.test import RequestFactory
from pytest_django import Settings

from dashboard.server.client_address import (
    UNKNOWN,
    client_address,
    client_address_of,
    limited_as,
    storable_address,
)


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "expected"),
    [
        ([], "127.0.0.1", "203.0.113.9", "127.0.0.1"),
        ([], "203.0.113.9", "", "203.0.113.9"),
        (["127.0.0.1"], "203.0.113.9", "198.51.100.1", "203.0.113.9"),
        (["127.0.0.1"], "127.0.0.1", "", "127.0.0.1"),
        (["127.0.0.1"], "127.0.0.1", "198.51.100.1", "198.51.100.1"),
        (["127.0.0.1"], "127.0.0.1", "192.0.2.1, 198.51.100.1", "198.51.100.1"),
        (["127.0.0.1", "10.0.0.0/8"], "127.0.0.1", "192.0.2.1, 198.51.100.1, 10.1.2.3", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (["10.0.0.0/8"], "10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", "nonsense, 10.0.0.2", "10.0.0.2"),
        (["10.0.0.1"], "10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        (["10.0.0.1"], "::ffff:10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        (["::1"], "::1", "2001:db8::1", "2001:db8::1"),
        (["127.0.0.1"], "", "198.51.100.1", UNKNOWN),
        (["unix:"], "", "198.51.100.1", "198.51.100.1"),
        (["unix:"], "10.0.0.1", "198.51.100.1", "10.0.0.1"),
        (["unix:"], "testserver", "198.51.100.1", UNKNOWN),
    ],
)
def test_the_last_address_that_is_no_trusted_proxy(
    settings: Settings, trusted: list[str], peer: str, forwarded: str, expected: str
) -> None:
    settings.TRUSTED_PROXIES = trusted
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers={"X-Forwarded-For": forwarded})
    scope = {"client": (peer, 1) if peer else None, "headers": [(b"x-forwarded-for", forwarded.encode())]}
    assert client_address(request) == expected
    assert client_address_of(scope) == expected


def test_a_header_sent_in_parts_is_one_list(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    headers = [(b"x-forwarded-for", b"192.0.2.1"), (b"x-forwarded-for", b"198.51.100.1")]
    assert client_address_of({"client": ("127.0.0.1", 1), "headers": headers}) == "198.51.100.1"


def test_limits_count_an_ipv6_subscriber_once() -> None:
    assert limited_as("2001:db8::1") == limited_as("2001:db8::ffff:2") != limited_as("2001:db8:0:1::1")
    assert limited_as("192.0.2.1") == "192.0.2.1"
    assert limited_as(UNKNOWN) == UNKNOWN


def test_no_address_is_nothing_in_a_column_of_addresses() -> None:
    """PostgreSQL refuses what is none, and a log-in over a Unix socket would fail."""
    request = RequestFactory().get("/", REMOTE_ADDR="")
    assert storable_address(request) is None
    request.META["REMOTE_ADDR"] = "203.0.113.9"
    assert storable_address(request) == "203.0.113.9"
