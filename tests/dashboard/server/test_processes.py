"""Ports that `make run` chooses for itself."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from dashboard.server import processes
from dashboard.server.processes import CannotRun, free_ports, temporal_ports


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
