"""Which addresses are public: global unicast, and not what IANA registers for special purposes.

An allow-rule: what the table does not know as public is refused. The source is IANA's registries
iana-ipv4-special-registry and iana-ipv6-special-registry as of July 2026, of which tests keep a copy. Blocks that are
reachable everywhere (anycast services, AS112) but not worth a request are refused with the block that they lie in.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

GLOBAL_UNICAST = (IPv4Network("0.0.0.0/0"), IPv6Network("2000::/3"))
"""Where global unicast addresses are, with the exceptions of SPECIAL. IPv6: the one block that IANA assigns from."""

SPECIAL: dict[Network, str] = {
    ip_network(block): name
    for block, name in {
        "0.0.0.0/8": "this network",
        "10.0.0.0/8": "a private network",
        "100.64.0.0/10": "a provider's shared addresses",
        "127.0.0.0/8": "loopback",
        "169.254.0.0/16": "link-local",
        "172.16.0.0/12": "a private network",
        "192.0.0.0/24": "protocol assignments",
        "192.0.2.0/24": "documentation",
        "192.88.99.0/24": "6to4 relays",
        "192.168.0.0/16": "a private network",
        "198.18.0.0/15": "benchmarks",
        "198.51.100.0/24": "documentation",
        "203.0.113.0/24": "documentation",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved",
        "::/128": "unspecified",
        "::1/128": "loopback",
        "64:ff9b:1::/48": "local translation of IPv4",
        "100::/64": "discarded",
        "100:0:0:1::/64": "a dummy prefix",
        "2001::/23": "protocol assignments",
        "2001:db8::/32": "documentation",
        "2002::/16": "6to4",
        "3fff::/20": "documentation",
        "5f00::/16": "segment routing",
        "fc00::/7": "a private network",
        "fe80::/10": "link-local",
        "fec0::/10": "site-local",
        "ff00::/8": "multicast",
    }.items()
}
"""Blocks that are not public, with what they are for."""

METADATA: dict[Address, str] = {
    ip_address(address): cloud
    for address, cloud in {
        "169.254.169.254": "AWS, Azure, Google Cloud and others",
        "169.254.169.253": "AWS",
        "169.254.170.2": "Amazon ECS",
        "169.254.170.23": "Amazon EKS",
        "169.254.0.23": "Tencent Cloud",
        "169.254.42.42": "Scaleway",
        "100.100.100.200": "Alibaba Cloud",
        "168.63.129.16": "Azure",
        "192.0.0.192": "Oracle Cloud",
        "fd00:ec2::254": "AWS",
        "fd00:ec2::253": "AWS",
        "fd00:ec2::23": "Amazon EKS",
        "fd00:42::42": "Scaleway",
        "fd20:ce::254": "Google Cloud",
    }.items()
}
"""Addresses at which a cloud tells a machine its credentials. One of them, Azure's, is global unicast."""

TRANSLATED = IPv6Network("64:ff9b::/96")
"""NAT64: the last 32 bits are the IPv4 address that is reached."""

COMPATIBLE = IPv6Network("::/96")
ISATAP = (0x00005EFE, 0x02005EFE)
"""The third 32 bits of an address whose last 32 are the IPv4 address to which it is tunneled."""


def why_not_public(address: Address) -> str | None:
    """Return what an address is, as a phrase, if it is not public; None for a public one."""
    if (cloud := METADATA.get(address)) is not None:
        return f"the metadata service of {cloud}"
    for inner in embedded(address):
        if (reason := why_not_public(inner)) is not None:
            return f"{reason}, as {inner}"
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address in TRANSLATED):
        return None
    special = next((name for network, name in SPECIAL.items() if address in network), None)
    return special or (None if any(address in network for network in GLOBAL_UNICAST) else "not global unicast")


def embedded(address: Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses in an IPv6 address: mapped, compatible, NAT64, 6to4, Teredo, ISATAP."""
    if not isinstance(address, IPv6Address):
        return
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in TRANSLATED or (address in COMPATIBLE and int(address) > 1):
        yield last
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if int(address) >> 32 & 0xFFFFFFFF in ISATAP:
        yield last
