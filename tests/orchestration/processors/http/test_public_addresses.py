"""The table of public addresses, compared with IANA's registries and with Python's own."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.processors.http.public_addresses import (
    GLOBAL_UNICAST,
    METADATA,
    SPECIAL,
    Network,
    embedded,
    why_not_public,
)

REGISTRIES = sorted((Path(__file__).parent / "registries").glob("*.csv"))

EXAMPLES = ["8.8.8.8", "93.184.216.34", "223.255.255.254", "2606:2800:220:1::1", "2001:200::1", "::ffff:8.8.8.8"]
EXAMPLES += ["64:ff9b::808:808", "192.175.48.1", "2620:4f:8000::1"]

embedding = st.sampled_from(["::ffff:0:0", "64:ff9b::", "2002::", "2001:0::", "2606::200:5efe:0:0", "::"])


def registered() -> Iterator[tuple[Network, str]]:
    """Yield each block of both registries, and what they say to "globally reachable"."""
    for path in REGISTRIES:
        with path.open() as file:
            for row in csv.DictReader(file):
                for block in row["Address Block"].split(", "):
                    yield ip_network(block.split(" [")[0]), row["Globally Reachable"].split(" [")[0]


@pytest.mark.parametrize(("block", "reachable"), [*registered()], ids=str)
def test_no_block_that_iana_does_not_call_globally_reachable_is_public(block: Network, reachable: str) -> None:
    if reachable != "True":
        assert {why_not_public(block[0]) is None, why_not_public(block[-1]) is None} == {False}


def test_each_block_of_the_table_is_registered_or_outside_of_unicast() -> None:
    others = {"224.0.0.0/4", "fec0::/10", "ff00::/8"}  # multicast, and what an RFC deprecates
    assert {str(block) for block in SPECIAL} - others <= {str(block) for block, _ in registered()}


@given(st.ip_addresses())
def test_python_calls_global_whatever_is_public(address: IPv4Address | IPv6Address) -> None:
    if why_not_public(address) is None and not list(embedded(address)):
        assert address.is_global
        assert not address.is_multicast | address.is_reserved | address.is_link_local | address.is_loopback
        assert any(address in network for network in GLOBAL_UNICAST)


@given(embedding, st.ip_addresses(v=4))
def test_an_embedded_address_is_judged_itself(around: str, inner: IPv4Address) -> None:
    shift = {"2002::": 80, "2001:0::": 64}.get(around, 0)
    outer = IPv6Address(int(IPv6Address(around)) | int(inner) << shift)
    if why_not_public(inner) is not None and int(outer) > 1:
        assert why_not_public(outer) is not None


@pytest.mark.parametrize("address", EXAMPLES)
def test_public_addresses_are_public(address: str) -> None:
    assert why_not_public(ip_address(address)) is None


@pytest.mark.parametrize("address", [*METADATA], ids=str)
def test_a_metadata_service_is_named(address: IPv4Address | IPv6Address) -> None:
    assert "metadata service" in str(why_not_public(address))
    if isinstance(address, IPv4Address):
        assert f"as {address}" in str(why_not_public(IPv6Address(f"::ffff:{address}")))
