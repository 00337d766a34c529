"""Egress policy: which addresses are public, and what an installation allows in addition."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from orchestration.processors.http.egress import (
    AddressRefused,
    EgressPolicy,
    GuardedBackend,
    GuardedTransport,
    is_public,
)
from orchestration.processors.http.public_addresses import Address


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


def test_a_network_around_a_metadata_service_does_not_allow_it() -> None:
    metadata = ip_address("169.254.169.254")
    assert not EgressPolicy.of(["169.254.0.0/16", "0.0.0.0/0", "::/0"]).allows("x", metadata)
    assert not EgressPolicy.of(["0.0.0.0/0"]).allows("x", ip_address("::ffff:169.254.169.254"))
    assert EgressPolicy.of(["169.254.169.254"]).allows("x", metadata)


class Rebound(GuardedBackend):
    """A backend whose resolver answers from the test: another answer each time, until the last is repeated."""

    def __init__(self, policy: EgressPolicy, *answers: Sequence[str]) -> None:
        super().__init__(policy)
        self.answers, self.asked = list(answers), list[str]()

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ip_address(each) for each in found]


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (["169.254.169.254"], "the metadata service of AWS, Azure, Google Cloud and others"),
        (["93.184.216.34", "10.0.0.1"], "a private network"),
        (["::ffff:127.0.0.1"], "loopback, as 127.0.0.1"),
        (["2002:a00:1::"], "a private network, as 10.0.0.1"),
    ],
)
async def test_a_name_with_any_address_that_is_not_public_is_refused(answer: list[str], named: str) -> None:
    backend = Rebound(EgressPolicy(), answer)
    with pytest.raises(AddressRefused, match=r"rebound\.example is .*not a public address") as refused:
        await backend.connect_tcp("rebound.example", 80)
    assert f"({named})" in str(refused.value)


async def test_what_was_checked_is_what_is_connected_to_and_tls_asks_for_the_name(tmp_path: Path) -> None:
    context, authority = certificate_of("rebound.example", tmp_path)
    asked = list[str | None]()
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(next(line for line in head.decode().splitlines() if line.startswith("Host:")))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    backend = Rebound(EgressPolicy.of(["127.0.0.1"]), ["127.0.0.1"], ["10.0.0.1"])
    transport = GuardedTransport(backend)
    transport._pool._ssl_context = ssl.create_default_context(cafile=str(authority))
    async with server, httpx.AsyncClient(transport=transport) as client:
        assert (await client.get(f"https://rebound.example:{port}/")).text == "ok"
        with pytest.raises(AddressRefused):  # the name points elsewhere by now, and is asked anew
            await client.get(f"https://rebound.example:{port}/")
    assert asked == ["rebound.example", f"Host: rebound.example:{port}"]
    assert backend.asked == ["rebound.example"] * 2


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "[::ffff:7f00:1]", "localhost"])
async def test_no_spelling_of_loopback_gets_through(host: str) -> None:
    async with httpx.AsyncClient(transport=GuardedTransport(GuardedBackend(EgressPolicy()))) as client:
        with pytest.raises(AddressRefused):
            await client.get(f"http://{host}:9/")


def certificate_of(name: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context with a certificate for a name, and the file of who vouches for it: itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
    made = made.not_valid_after(now + datetime.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    path = folder / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, path
