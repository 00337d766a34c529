"""canopy probe: what it asks, and what it makes of the answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from dashboard.cli.main import app
from dashboard.cli.probe import own_address
from dashboard.cli.refusal import Refused


class _Answers(BaseHTTPRequestHandler):
    """Lives, but is not ready."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()
        self.wfile.write(b"Temporal does not answer.")


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a process."""
    with HTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, "http://127.0.0.1:8000/livez"),
        ({"HOST": "0.0.0.0", "PORT": "80"}, "http://127.0.0.1:80/livez"),
        ({"HOST": "::"}, "http://[::1]:8000/livez"),
        ({"HOST": "::1"}, "http://[::1]:8000/livez"),
        ({"CANOPY_WORKER_HTTP": "0.0.0.0:9091", "PORT": "80"}, "http://127.0.0.1:9091/livez"),
        ({"CANOPY_WORKER_HTTP": "[::]:9091"}, "http://[::1]:9091/livez"),
    ],
)
def test_by_default_it_asks_the_process_of_its_own_environment(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], address: str
) -> None:
    for name in ("HOST", "PORT", "CANOPY_WORKER_HTTP"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert own_address() == address


def test_it_succeeds_where_the_process_lives_and_says_why_not(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANOPY_WORKER_HTTP", f"127.0.0.1:{port}")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    run = CliRunner().invoke
    assert run(app, ["probe"]).exit_code == 0
    unready = run(app, ["probe", f"http://127.0.0.1:{port}/readyz"]).exception
    assert isinstance(unready, Refused)
    assert (unready.exit_status, "503: Temporal does not answer." in str(unready)) == (1, True)
    gone = run(app, ["probe", "http://127.0.0.1:9/livez"]).exception
    assert isinstance(gone, Refused)
    assert gone.exit_status == 1
