"""Stack: the real thing on loopback, as processes of its own: Temporal, a worker, one or more web processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from dashboard.server import processes
from tests.support.ports import free_port as free_port
from tests.support.prepared import PREPARE, manage, prepared_home
from tests.support.prepared import ROOT as ROOT
from tests.support.prepared import VIEWER as VIEWER
from tests.support.waiting import wait_until

STOP_WITHIN = 15
ENDS_WITHIN = 180
START_WITHIN = 300

PORTS_TRIED = 5
"""Another process may take a free port before a server does: tests run in parallel."""

UPDATES_OF_A_RUN = 100
"""How many updates one run takes; 2,000 by default."""

EVENTS_OF_A_RUN = 100
"""After so many events Temporal suggests to continue as new; 4,096 by default."""

ENDED_EARLY = ("failed", "canceled", "terminated", "timed_out", "rolled_back")
"""Statuses that a batch has as soon as its root says so; the last events of its children may still be on their way."""

http = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=60)
"""Opens a connection for each request, but reads the machine's certificates once: that takes 23 ms of CPU."""


def temporal_binary() -> str:
    """Return the path of a `temporal` program."""
    beside = Path(sys.executable).parent
    found = shutil.which("temporal", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    assert found, "There is no temporal program: install the extra `embedded`."
    return found


def _restore_signals() -> None:
    """Restore SIGINT and SIGHUP: a shell that runs the tests in the background, or nohup, has them ignored.

    The umask is a shell's, too, not that of the tests, which have loaded the settings.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.umask(0o022)


class Process:
    """A program that a test started, and may kill."""

    def __init__(
        self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, folder: Path = ROOT
    ) -> None:
        self.command, self._log, self._folder = command, log, folder
        self._env = dict(env) if env is not None else None
        self._program: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The running program's process id."""
        assert self._program is not None
        return self._program.pid

    @property
    def is_running(self) -> bool:
        """Whether the program has not ended."""
        return self._program is not None and self._program.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the program has ended; None while it runs."""
        assert self._program is not None
        return self._program.poll()

    def ask_to_stop(self, number: int = signal.SIGTERM) -> None:
        """Send SIGTERM, or another signal."""
        assert self._program is not None
        self._program.send_signal(number)

    @property
    def output(self) -> str:
        """What the program has written so far."""
        return self._log.read_text(errors="replace")

    def start(self) -> None:
        """Start the program."""
        with self._log.open("ab") as log:
            self._program = subprocess.Popen(
                self.command, stdout=log, stderr=log, env=self._env, cwd=self._folder, preexec_fn=_restore_signals
            )

    def ended_with(self) -> int:
        """Wait until the program has ended by itself, and return its exit status."""
        assert self._program is not None
        return self._program.wait(ENDS_WITHIN)

    def kill(self) -> None:
        """End the program as a crash would."""
        assert self._program is not None
        self._program.send_signal(signal.SIGKILL)
        self._program.wait(STOP_WITHIN)

    def stop(self) -> None:
        """End the program as an operator would."""
        if self._program is None or self._program.poll() is not None:
            return
        self._program.terminate()
        try:
            self._program.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()


class TemporalServer:
    """A Temporal development server with a file database, with the embedded one's options unless others are given."""

    def __init__(self, home: Path, options: str = processes.TEMPORAL_OPTIONS) -> None:
        self.namespace, self.binary, self.home, self._options = "default", temporal_binary(), home, options
        self._take_ports()

    def _take_ports(self) -> None:
        port, ui_port, self.http_port = free_port(), free_port(), free_port()
        self.address, self.ui_url = f"127.0.0.1:{port}", f"http://127.0.0.1:{ui_port}"
        command = f"{self.binary} server start-dev --ip 127.0.0.1 --port {port} --ui-ip 127.0.0.1"
        command += f" --ui-port {ui_port} --http-port {self.http_port} --db-filename {self.home / 'temporal.sqlite3'}"
        command += f" --dynamic-config-value limit.historyCount.suggestContinueAsNew={EVENTS_OF_A_RUN}"
        command += f" --dynamic-config-value history.maxTotalUpdates={UPDATES_OF_A_RUN} {self._options}"
        env = os.environ | {"GOGC": processes.TEMPORAL_GARBAGE}
        self.process = Process(command.split(), self.home / "temporal.log", env)

    def start(self) -> None:
        """Start the server and wait until it says that it serves. Where its ports are gone by then, it takes others."""
        for _ in range(PORTS_TRIED):
            self.process.start()
            wait_until(self._serves_or_has_ended, lambda: f"Temporal serves: {self.process.output}", START_WITHIN)
            if self.process.is_running:
                return
            self._take_ports()
        raise AssertionError(f"Temporal does not start: {self.process.output}")

    def _serves_or_has_ended(self) -> bool:
        host, port = self.address.split(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()  # cheaper than to start a program in vain
        except OSError:
            return not self.process.is_running
        try:
            serves = self.cli("operator", "cluster", "health").strip() == "SERVING"
        except subprocess.SubprocessError:
            serves = False
        return serves or not self.process.is_running

    def stop(self) -> None:
        """Stop the server."""
        self.process.stop()

    def cli(self, *arguments: str) -> str:
        """Run Temporal's own command line against this server, as someone outside Canopy would."""
        command = [self.binary, *arguments, "--address", self.address]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@dataclass
class Stack:
    """Everything that `make run` starts, as separate processes whose ids a test knows."""

    temporal: TemporalServer
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="canopy-stack-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.mail_port = free_port()
        self.env = {
            **os.environ,
            "CANOPY_HOME": str(self.home),
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_UI_URL": self.temporal.ui_url,
            "CANOPY_HTTP_ALLOW": "127.0.0.1",
            "CANOPY_URL": self.url,
            "EMAIL_URL": f"smtp://127.0.0.1:{self.mail_port}",
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            **self.environment,
        }
        self.worker = Process([sys.executable, "manage.py", "worker"], self.home / "worker.log", self.env)
        self.web = self.web_process(self.port)
        self.login: dict[str, str] = {}

    def web_process(self, port: int) -> Process:
        """Return a web process, not yet started."""
        command = f"{sys.executable} -m uvicorn dashboard.asgi:application --host 127.0.0.1 --port {port}"
        command += " --log-level warning --timeout-graceful-shutdown 3"
        return Process(command.split(), self.home / f"web-{port}.log", self.env)

    def manage(self, *arguments: str) -> str:
        """Run a management command."""
        return manage(self.env, *arguments)

    def start(self) -> None:
        """Prepare the home, start worker and web, and wait until all answer."""
        has_own_database = "DATABASE_URL" in self.environment
        others = shutil.ignore_patterns(*(("canopy.sqlite3*", "first-login.json") if has_own_database else ()))
        shutil.copytree(prepared_home(), self.home, dirs_exist_ok=True, ignore=others)
        if has_own_database:
            self.manage(*PREPARE)
        self.login = json.loads((self.home / "first-login.json").read_text())
        self.worker.start()
        self.web.start()
        self.wait_healthy()

    def wait_healthy(self) -> None:
        """Wait until the web process says that all parts answer."""
        wait_until(lambda: self._health() == 200, f"{self.url}/healthz is good", START_WITHIN)

    def _health(self) -> int:
        try:
            return http.get(f"{self.url}/healthz", timeout=10).status_code
        except httpx.HTTPError:
            return 0

    def stop(self) -> None:
        """Stop worker and web, and take the home away."""
        self.web.stop()
        self.worker.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """Call the API with the operator's token."""
        authorization = {"Authorization": f"Bearer {self.login['token']}", **headers}
        return http.request(method, f"{self.url}/api/v1{path}", json=body, headers=authorization)

    def launch(self, **body: Any) -> str:
        """Launch a batch over the API and return its id."""
        answer = self.api("POST", "/batches", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return what the API says of a batch."""
        answer = self.api("GET", f"/batches/{batch_id}")
        assert answer.status_code == 200, answer.text
        state: dict[str, Any] = answer.json()
        return state

    def launch_held(self, *, plan: Mapping[str, Any], **body: Any) -> str:
        """Launch a batch that starts nothing before it is approved, and return its id once it waits for that."""
        batch_id = self.launch(plan={**plan, "approval": True}, **body)
        self.wait_for(batch_id, "held")
        return batch_id

    def approve(self, batch_id: str) -> None:
        """Let a batch that waits for approval start."""
        answer = self.api("POST", f"/batches/{batch_id}/decide", {"approved": True})
        assert answer.status_code == 202, answer.text

    def wait_for(self, batch_id: str, *statuses: str, deadline: float = 180) -> dict[str, Any]:
        """Wait until a batch has one of the statuses, and return it. Of one that ended early no child is left open."""
        last: dict[str, Any] = {}

        def has_status() -> bool:
            last.update(self.batch(batch_id))
            is_open = bool(last["children"]["running"] + last["children"]["pending"])
            return last["status"] in statuses and not (is_open and last["status"] in ENDED_EARLY)

        try:
            wait_until(has_status, f"batch {batch_id} is {' or '.join(statuses)}", deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {last}") from None
        return last

    def nodes(self, batch_id: str, **filters: Any) -> list[dict[str, Any]]:
        """Return all nodes of a batch that fit, over all pages."""
        found, cursor = list[dict[str, Any]](), None
        while True:
            query = "&".join(f"{name}={value}" for name, value in {**filters, "limit": 1000}.items())
            page = self.api(
                "GET", f"/batches/{batch_id}/nodes?{query}" + (f"&cursor={cursor}" if cursor else "")
            ).json()
            found += page["results"]
            cursor = page["next"]
            if cursor is None:
                return found
