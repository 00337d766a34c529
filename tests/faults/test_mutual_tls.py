"""A Temporal behind mutual TLS and an API key: everything goes through it, also when both are replaced meanwhile."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.certificates import Certificate, authority
from tests.support.nginx import MutualTls
from tests.support.ports import free_port
from tests.support.stack import Process, Stack, TemporalServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

PROFILE = """
[profile.company]
address = "{address}"
namespace = "{namespace}"
[profile.company.tls]
server_name = "temporal.test"
server_ca_cert_path = "{folder}/company.pem"
client_cert_path = "{folder}/own.pem"
client_key_path = "{folder}/own.key"
"""


def show(folder: Path, certificate: Certificate, key: str) -> None:
    """Put other credentials where the profile names them, as whoever rotates them does."""
    for source, name in ((certificate.file, "own.pem"), (certificate.key_file, "own.key")):
        made = folder / f"{name}.new"
        made.write_bytes(source.read_bytes())
        made.rename(folder / name)
    (folder / "api-key").write_text(f"{key}\n")


def completes_a_batch(stack: Stack) -> None:
    plan = {"chunk_size": 2}
    batch = stack.launch(processor="simulate", parameters={"seconds_to": 0.01, "fail_percent": 0}, count=6, plan=plan)
    assert stack.wait_for(batch, "completed")["items"]["completed"] == 6


def test_credentials_are_shown_replaced_without_a_restart_and_refused_in_words(
    stack_server: TemporalServer, tmp_path: Path
) -> None:
    company, next_company = authority("company", tmp_path), authority("next company", tmp_path)
    namespace = f"company-{free_port()}"
    stack_server.cli("operator", "namespace", "create", "--namespace", namespace)
    proxy = MutualTls(tmp_path, stack_server.address, company.sign("temporal.test"))
    proxy.start([company], ["first"])
    show(tmp_path, company.sign("client"), "first")
    file = tmp_path / "temporal.toml"
    file.write_text(PROFILE.format(address=proxy.address, namespace=namespace, folder=tmp_path))
    profile = {"TEMPORAL_ADDRESS": "", "TEMPORAL_CONFIG_FILE": str(file), "TEMPORAL_PROFILE": "company"}
    stack = Stack(stack_server, profile | {"TEMPORAL_API_KEY_FILE": str(tmp_path / "api-key")})
    try:
        stack.start()
        completes_a_batch(stack)

        show(tmp_path, next_company.sign("next client"), "second")
        proxy.reconfigure([next_company], ["second"])
        completes_a_batch(stack)
        assert "CN=next client Bearer second 200" in proxy.requests()

        (tmp_path / "api-key").write_text("third\n")
        proxy.reconfigure([next_company], ["third"])
        completes_a_batch(stack)
        assert "CN=next client Bearer third 200" in proxy.requests()
        assert stack.worker.is_running
        assert stack.web.is_running

        show(tmp_path, company.sign("client"), "third")
        stranger = Process(
            [sys.executable, "manage.py", "worker", "--queue", "other"], tmp_path / "stranger.log", stack.env
        )
        stranger.start()
        wait_until(lambda: "refuses the client certificate" in stranger.output, lambda: stranger.output)
        stranger.stop()
    finally:
        stack.stop()
        proxy.stop()
