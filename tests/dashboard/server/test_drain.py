"""A web process that is asked to stop: sockets are told to come back, stalled downloads are cut, and it ends with 0."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from orchestration.telemetry.checks import DRAINING
from tests.support.ports import free_port
from tests.support.stack import Process, http
from tests.support.waiting import wait_until

SERVICE_RESTART = 1012
PATIENCE = 60
HOUR = 3600
APPLICATION = "tests.support.drained_app:application"
SEVERAL = """
import sys
from dashboard.server.web_processes import serve
sys.exit(serve(sys.argv[1], workers=2, port=int(sys.argv[2]), log_level="warning"))
"""


class Web:
    """A server with an hour's grace, of one process or of several."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: Process

    def start(self, *command: str, delay: int = 0) -> None:
        """Start a server, and wait until it answers."""
        env = {**os.environ, "CANOPY_GRACE_SECONDS": str(HOUR), "CANOPY_HOME": str(self.folder)}
        env |= {"DJANGO_SETTINGS_MODULE": "dashboard.settings", "CANOPY_DRAIN_DELAY": str(delay)}
        env |= {"CANOPY_READY_NEEDS": ""}
        self.process = Process([sys.executable, *command], self.folder / "web.log", env)
        self.process.start()
        wait_until(lambda: self.answer("livez") == 200, lambda: f"it listens: {self.process.output}", PATIENCE)

    def answer(self, path: str) -> int:
        """Return the status of an answer; 0 where nobody listens."""
        try:
            return http.get(f"http://127.0.0.1:{self.port}/{path}").status_code
        except httpx.HTTPError:
            return 0

    def stalled(self) -> socket.socket:
        """Return the connection of a download that nobody reads on."""
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.sendall(b"GET /200 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(1)
        return connection

    def has_ended(self) -> None:
        """Wait until it has ended, and with it its port."""
        wait_until(lambda: not self.process.is_running, lambda: f"it has stopped: {self.process.output}", PATIENCE)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.port)).close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """A server that is killed in the end, if it has not ended."""
    web = Web(tmp_path)
    yield web
    if web.process.is_running:
        web.process.kill()


def one(web: Web) -> tuple[str, ...]:
    return "-m", "uvicorn", APPLICATION, "--port", str(web.port), "--log-level", "warning"


def test_a_web_process_that_is_asked_to_stop_keeps_nobody_waiting_and_ends_well(web: Web) -> None:
    web.start(*one(web), delay=1)
    with web.stalled(), connect(f"ws://127.0.0.1:{web.port}/") as live:
        web.process.ask_to_stop(signal.SIGHUP)
        with pytest.raises(ConnectionClosed) as closed:
            live.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == SERVICE_RESTART
        web.has_ended()
    assert web.process.exit_code == 0


def test_a_load_balancer_is_told_before_anything_is_refused(web: Web) -> None:
    web.start(*one(web), delay=HOUR)
    assert web.answer("readyz") == 200
    for number in (signal.SIGTERM, signal.SIGHUP):
        web.process.ask_to_stop(number)
        wait_until(lambda: web.answer("readyz") == 503, "probes are told", PATIENCE)
    answer = http.get(f"http://127.0.0.1:{web.port}/readyz")
    assert answer.json() == DRAINING
    assert answer.headers["retry-after"]
    assert (web.answer("livez"), web.answer("1")) == (200, 200)
    with connect(f"ws://127.0.0.1:{web.port}/"):
        pass


def test_several_web_processes_are_replaced_one_by_one_and_stop_together(web: Web) -> None:
    several = "-c", SEVERAL, APPLICATION, str(web.port)
    web.start(*several)
    above = psutil.Process(web.process.pid)

    def serving() -> list[psutil.Process]:
        found = list[psutil.Process]()
        for each in above.children():
            with suppress(ProcessLookupError):  # it has ended since
                found += [each] if os.getpgid(each.pid) == each.pid else []
        return found

    wait_until(lambda: len(serving()) == 2, "both run", PATIENCE)
    killed, other = serving()
    killed.kill()
    wait_until(lambda: len(set(serving()) - {killed}) == 2, "another one takes its place", PATIENCE)
    assert other in serving()
    below = above.children()
    web.process.kill()
    assert psutil.wait_procs(below, timeout=PATIENCE)[1] == [], "none survives the one above"
    web.start(*several)
    above = psutil.Process(web.process.pid)
    wait_until(lambda: len(serving()) == 2, "both run", PATIENCE)
    below = above.children()
    with web.stalled():
        web.process.ask_to_stop(signal.SIGHUP)
        web.has_ended()
    assert web.process.exit_code == 0
    assert psutil.wait_procs(below, timeout=PATIENCE)[1] == []


def test_several_web_processes_that_cannot_start_end_with_the_status_of_a_failed_start(web: Web) -> None:
    env = {**os.environ, "CANOPY_HOME": str(web.folder), "DJANGO_SETTINGS_MODULE": "dashboard.settings"}
    command = [sys.executable, "-c", SEVERAL, "tests.support.drained_app:nothing", str(web.port)]
    web.process = Process(command, web.folder / "web.log", env)
    web.process.start()
    assert web.process.ended_with() == 3
