"""Egress policy: which addresses are public, and what an installation allows in addition."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from orchestration.processors.http.egress import EgressPolicy, is_public


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "100.64.0.1", "169.254.1.1", "224.0.0.1", "240.0.0.1", "::", "fe80::1", "fc00::1"],
)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "2001:0:1::1"])
def test_addresses_with_an_embedded_private_one_are_refused(address: str) -> None:
    assert not EgressPolicy().allows("h", ip_address(address))


def test_hosts_and_networks_can_be_allowed() -> None:
    policy = EgressPolicy.of(["10.1.0.0/16", "Intranet.local", " "])
    assert policy.allows("x", ip_address("10.1.2.3"))
    assert policy.allows("x", ip_address("::ffff:10.1.2.3"))
    assert not policy.allows("x", ip_address("10.2.0.1"))
    assert policy.allows("intranet.local", ip_address("192.168.1.1"))
    assert policy.allows("example.org", ip_address("93.184.216.34"))
