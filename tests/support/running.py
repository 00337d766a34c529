"""Running: `make run`'s command in a home of its own, as a person would start it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import psutil

from tests.support.stack import ROOT, START_WITHIN, Process, free_port, http
from tests.support.waiting import wait_until

READY = re.compile(r"Canopy is at (http://\S+)/")


class Run:
    """`manage.py run`, or what else starts it, in a home of its own."""

    def __init__(
        self,
        home: Path,
        command: Sequence[str] = (sys.executable, "manage.py", "run"),
        folder: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home, self.port = home, free_port()
        env = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
        env |= {"CANOPY_HOME": str(home), "PORT": str(self.port), **(environment or {})}
        self.process = Process(command, home.parent / f"run-{self.port}.log", env, folder)

    def start(self) -> None:
        """Start, and wait for the line that says where it is."""
        self.process.start()
        wait_until(
            lambda: READY.search(self.process.output),
            lambda: f"it says where it is: {self.process.output}",
            START_WITHIN,
        )

    @property
    def url(self) -> str:
        """Where the dashboard is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def login(self) -> dict[str, str]:
        """The first login: username, password and token."""
        found: dict[str, str] = json.loads((self.home / "first-login.json").read_text())
        return found

    @property
    def health(self) -> int:
        """The status of /healthz; 0 where nobody answers."""
        try:
            return http.get(f"{self.url}/healthz", timeout=10).status_code
        except httpx.HTTPError:
            return 0

    def program(self, part: str) -> psutil.Process:
        """Return the process of a part: the oldest below its keeper, because the other one is its spare."""
        for keeper in psutil.Process(self.process.pid).children(recursive=True):
            command = keeper.cmdline()
            if (
                "dashboard.server.keep_alive" in command
                and command[command.index("dashboard.server.keep_alive") + 1] == part
            ):
                children = keeper.children()
                if children:
                    return min(children, key=psutil.Process.create_time)  # process ids begin again at some time
        raise LookupError(part)

    def pid(self, part: str) -> int:
        """Return a part's process id, or 0 while it is away."""
        try:
            return int(self.program(part).pid)
        except (LookupError, psutil.NoSuchProcess):
            return 0

    def api(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Call the API with the first login's token."""
        headers = {"Authorization": f"Bearer {self.login['token']}"}
        return http.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers)
