"""Ports that `make run` chooses for itself."""

from __future__ import annotations

import io
import json
import logging
import socket
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from honcho.printer import Message
from pytest_django import Settings

from dashboard.management.commands import run
from dashboard.server import processes
from dashboard.server.processes import CannotRun, free_ports, temporal_ports, temporal_ui_host
from tests.support.stack import TemporalServer, http


def test_free_ports_are_below_those_that_outgoing_connections_take() -> None:
    found = free_ports(3)
    assert len(set(found)) == 3
    first_of_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(found) < first_of_outgoing


def test_a_port_in_use_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    start = free_ports(1)[0]
    monkeypatch.setattr(processes, "FREE_PORTS", range(start, start + 1))
    assert free_ports(1) == [start]
    with socket.create_server(("127.0.0.1", start)), pytest.raises(CannotRun, match="are free"):
        free_ports(1)


def test_the_ports_of_last_time_are_kept_while_they_are_free(tmp_path: Path) -> None:
    ports = temporal_ports(tmp_path)
    assert temporal_ports(tmp_path) == ports
    with socket.create_server(("127.0.0.1", ports[1])):
        others = temporal_ports(tmp_path)
    assert ports[1] not in others
    assert json.loads((tmp_path / "temporal-ports.json").read_text()) == list(others)


def test_the_ui_of_temporal_is_off_unless_it_is_asked_for_and_then_where_no_page_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.HOME = tmp_path
    monkeypatch.delenv("CANOPY_TEMPORAL_UI", raising=False)
    own = run._temporal()
    assert (own["TEMPORAL_UI_OPTIONS"], own["TEMPORAL_UI_URL"]) == ("--headless", "")
    monkeypatch.setenv("CANOPY_TEMPORAL_UI", "1")
    own, again = run._temporal(), run._temporal()
    assert own == again
    host = temporal_ui_host(tmp_path)
    assert ip_address(host).is_loopback
    assert host != "127.0.0.1"
    assert own["TEMPORAL_UI_OPTIONS"].startswith(f"--ui-ip {host} --ui-port ")
    assert own["TEMPORAL_UI_URL"].startswith(f"http://{host}:")


def test_the_api_of_temporal_answers_under_no_name_that_a_web_page_could_have(temporal_server: TemporalServer) -> None:
    url = f"http://127.0.0.1:{temporal_server.http_port}/api/v1/namespaces"
    assert http.get(url).status_code == 200
    for host in ("evil.example", f"evil.example:{temporal_server.http_port}", "127.0.0.1.evil.example:80"):
        assert http.get(url, headers={"Host": host}).status_code >= 400


@pytest.mark.parametrize("is_json", [True, False])
def test_what_processes_print_is_passed_on_as_json_where_lines_are(
    is_json: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json" if is_json else "line")
    shown = io.StringIO()
    printer = processes._OutputPrinter(shown)
    for name, line in (("worker", b'{"level": "warning"}\n'), ("worker", b"Killed\n"), ("system", "worker started\n")):
        with caplog.at_level(logging.INFO):
            printer.write(Message(type="line", data=line, time=datetime.now(), name=name, colour=None))  # noqa: DTZ005
    assert "started" not in shown.getvalue()
    if is_json:
        assert shown.getvalue() == '{"level": "warning"}\n'
        assert [(each.getMessage(), vars(each)["program"]) for each in caplog.records] == [("Killed", "worker")]
    else:
        assert [line.partition("| ")[2] for line in shown.getvalue().splitlines()] == ['{"level": "warning"}', "Killed"]


def test_a_terminal_that_has_been_closed_keeps_nothing_from_ending() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    processes._OutputPrinter(Closed()).write(
        Message(type="line", data=b"ended", time=datetime.now(), name="worker", colour=None)  # noqa: DTZ005
    )
