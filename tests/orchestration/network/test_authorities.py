"""A company's own authority counts for everything that is fetched, and only where the environment names it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from temporalio.api.common.v1 import Payload

from orchestration.contracts.stores import StoreAway
from orchestration.network.authorities import tls_context
from orchestration.processors.data.file_stores import open_file
from orchestration.processors.http.egress import EgressPolicy, GuardedBackend, GuardedTransport
from orchestration.remote.http_client import bearer_client, post
from orchestration.remote.store import RemoteStore
from orchestration.startup import CannotStart, prepare
from orchestration.temporal.remote_codec import CodecFailed, CodecServer, RemoteCodec
from tests.support.certificates import Certificate, authority
from tests.support.company import serving


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A company's authority."""
    return authority("company", tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def port(company: Certificate) -> Iterator[int]:
    """The port of a server with a certificate of the company's."""
    with serving(company.sign("canopy.test")) as port:
        yield port


@pytest.fixture(autouse=True)
def _read_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the authorities be read anew in each test."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


@pytest.fixture
def trusted(company: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the company's authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(company.file))


async def fetched(port: int) -> httpx.Response:
    """Fetch as http_request, web_page and webhooks do."""
    transport = GuardedTransport(GuardedBackend(EgressPolicy.of(["127.0.0.1"])))
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        return await client.get(f"https://127.0.0.1:{port}/")


@pytest.mark.usefixtures("trusted")
async def test_workers_fetch_from_servers_of_the_company(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with bearer_client(f"https://127.0.0.1:{port}", "token", timeout=30) as dashboard:
        assert post(dashboard, "/", b"[]").content == b"[]"
    assert (await fetched(port)).text == "ok"
    codec = RemoteCodec(CodecServer("", f"https://127.0.0.1:{port}"), "default")
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    assert await codec.encode([payload]) == await codec.decode([payload]) == [payload]
    monkeypatch.setenv("CANOPY_FILES_COMPANY", f"s3://bucket?endpoint=https://127.0.0.1:{port}")
    with open_file("COMPANY", "object") as found:
        assert b"".join(found.parts) == b"ok"


async def test_what_is_not_trusted_is_not_fetched_and_a_worker_says_what_to_set(port: int) -> None:
    with pytest.raises(StoreAway, match="SSL_CERT_FILE"):
        RemoteStore(f"https://127.0.0.1:{port}", "token").check()
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        await fetched(port)
    with pytest.raises(CodecFailed, match="CERTIFICATE_VERIFY_FAILED"):
        await RemoteCodec(CodecServer("", f"https://127.0.0.1:{port}"), "default").encode([Payload()])


@pytest.fixture
def folder(company: Certificate, tmp_path: Path) -> Path:
    """A folder of authorities, as OpenSSL looks into it."""
    (tmp_path / "company.pem").write_bytes(company.file.read_bytes())
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True, timeout=60)
    return tmp_path


async def test_a_folder_of_authorities_counts_too(folder: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    assert (await fetched(port)).text == "ok"


@pytest.mark.parametrize("content", [None, "nothing"])
def test_authorities_that_cannot_be_read_are_named_at_the_start(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(CannotStart, match=f"SSL_CERT_FILE names {file}, which cannot be used"):
        prepare()
