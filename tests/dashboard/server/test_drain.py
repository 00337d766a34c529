"""A web process that is asked to stop: sockets are told to come back, stalled downloads are cut, and it ends with 0."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.ports import free_port
from tests.support.stack import Process
from tests.support.waiting import wait_until

SERVICE_RESTART = 1012
PATIENCE = 60


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Process, int]]:
    """A server with an hour's grace."""
    port = free_port()
    command = f"{sys.executable} -m uvicorn tests.support.drained_app:application --port {port}"
    env = {**os.environ, "CANOPY_GRACE_SECONDS": "3600", "CANOPY_HOME": str(tmp_path)}
    env["DJANGO_SETTINGS_MODULE"] = "dashboard.settings"
    web = Process(command.split(), tmp_path / "web.log", env)
    web.start()
    wait_until(lambda: "running on" in web.output, lambda: f"it listens: {web.output}")
    yield web, port
    if web.is_running:
        web.kill()


def test_a_web_process_that_is_asked_to_stop_keeps_nobody_waiting_and_ends_well(web: tuple[Process, int]) -> None:
    process, port = web
    with socket.create_connection(("127.0.0.1", port)) as stalled, connect(f"ws://127.0.0.1:{port}/") as live:
        stalled.sendall(b"GET /200 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert stalled.recv(1)
        process.ask_to_stop()
        with pytest.raises(ConnectionClosed) as closed:
            live.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == SERVICE_RESTART
        wait_until(lambda: not process.is_running, lambda: f"it has stopped: {process.output}", PATIENCE)
    assert process.exit_code == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
