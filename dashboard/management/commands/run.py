"""manage.py run: Temporal, worker and web on this machine, from one command and with nothing prepared."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import environ
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from honcho.environ import parse_procfile
from honcho.manager import Manager
from honcho.printer import Message, Printer

from dashboard.keep_alive import SUPERVISOR
from dashboard.management.commands.first_login import FIRST_LOGIN, make_first_login

READY_WITHIN = 120.0
EVERY = 0.3

env = environ.Env()


class _Printer(Printer):
    """Prints what processes say, without honcho's own chatter."""

    def write(self, message: Message) -> None:
        """Print a line unless it is honcho's."""
        if message.name != "system":
            super().write(message)


class Command(BaseCommand):
    """Run everything, until Ctrl-C."""

    help = "Run Temporal (unless TEMPORAL_ADDRESS is set), a worker and the dashboard."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, start all processes, say when they answer, and stop them together."""
        host, port = env.str("HOST", default="127.0.0.1"), env.int("PORT", default=8000)
        _require_free(host, port)
        own = _environment(host, port)
        os.environ.update(own)
        call_command("migrate", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        login = make_first_login()
        procfile = parse_procfile((settings.BASE_DIR / "Procfile").read_text())
        manager = Manager(_Printer(sys.stdout))
        for name, command in procfile.processes.items():
            if name != "temporal" or "TEMPORAL_PORT" in own:
                manager.add_process(name, command, env=dict(os.environ), cwd=str(settings.BASE_DIR))
        threading.Thread(target=self._announce, args=(host, port, login), daemon=True).start()
        manager.loop()
        was_stopped = manager.returncode in (None, 128 + signal.SIGINT, 128 + signal.SIGTERM)
        sys.exit(0 if was_stopped else manager.returncode)

    def _announce(self, host: str, port: int, login: dict[str, str] | None) -> None:
        """Wait until everything answers, then print where it is and how to get in."""
        shown = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104
        address = f"http://{shown}:{port}/"
        state = _await_health(f"{address}healthz")
        if state is not None:
            self.stderr.write(f"Not everything answers yet: {state}. Logs: {settings.HOME / 'logs'}")
        kept = settings.HOME / FIRST_LOGIN
        if login is not None:
            how = f"log in as {login['username']} with {login['password']} (API token {login['token']}; kept in {kept})"
        else:
            how = f"the first login is in {kept}" if kept.exists() else "log in as you did before"
        self.stdout.write(f"Canopy is at {address} - {how}")
        self.stdout.flush()


def _environment(host: str, port: int) -> dict[str, str]:
    """Return what the processes need to know, with free ports for what is not named."""
    own = {
        "CANOPY_HOME": str(settings.HOME),
        "HOST": host,
        "PORT": str(port),
        "PYTHON": sys.executable,
        "PYTHONUNBUFFERED": "1",
        "TEMPORAL_NAMESPACE": settings.TEMPORAL_NAMESPACE,
        SUPERVISOR: str(os.getpid()),
    }
    if not os.environ.get("TEMPORAL_ADDRESS"):
        grpc, ui = _temporal_ports()
        own |= {
            "TEMPORAL_ADDRESS": f"127.0.0.1:{grpc}",
            "TEMPORAL_IP": "127.0.0.1",
            "TEMPORAL_PORT": str(grpc),
            "TEMPORAL_UI_PORT": str(ui),
            "TEMPORAL_UI_URL": f"http://127.0.0.1:{ui}",
            "TEMPORAL_BINARY": _temporal_binary(),
        }
    return own


def _temporal_binary() -> str:
    """Return a temporal that the machine has of its own, or else the one of the extra `embedded`."""
    beside = str(Path(sys.executable).parent)
    elsewhere = os.pathsep.join(each for each in os.environ.get("PATH", "").split(os.pathsep) if each != beside)
    found = shutil.which("temporal", path=elsewhere) or shutil.which("temporal", path=beside)
    if found is None:
        raise CommandError("There is no `temporal` program. Install canopy[embedded], or set TEMPORAL_ADDRESS.")
    return found


def _temporal_ports() -> tuple[int, int]:
    """Return the ports of last time if they are free, so that links into Temporal's UI stay good; else free ones."""
    path = settings.HOME / "temporal-ports.json"
    try:
        grpc, ui = json.loads(path.read_text())
    except (OSError, ValueError):
        grpc, ui = 0, 0
    if not (grpc and ui and _is_free("127.0.0.1", grpc) and _is_free("127.0.0.1", ui)):
        grpc, ui = _free_port(), _free_port()
        path.write_text(json.dumps([grpc, ui]))
    return grpc, ui


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _is_free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True


def _require_free(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise CommandError(
            f"Port {port} of {host} cannot be used: {error.strerror}. Choose another with PORT."
        ) from None


def _await_health(url: str) -> str | None:
    """Wait until every part answers; return what is missing if that takes too long."""
    deadline, state = time.monotonic() + READY_WITHIN, "the web process does not answer"
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=10):  # noqa: S310  our own address
                return None
        except urllib.error.HTTPError as error:
            state = error.read().decode()
        except OSError:
            pass
        time.sleep(EVERY)
    return state
