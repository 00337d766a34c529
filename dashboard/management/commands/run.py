"""manage.py run: Temporal, worker and web on this machine, from one command without any setup."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
import urllib.request
from importlib.util import find_spec
from typing import Any

import environ
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from honcho.environ import parse_procfile

from dashboard import resources
from dashboard.management.commands.first_login import FIRST_LOGIN, is_terminal, make_first_login
from dashboard.server.keep_alive import SHOW_LOGS, SUPERVISOR
from dashboard.server.processes import (
    NO_TEMPORAL_UI,
    STOPPED_LAST,
    TEMPORAL_GARBAGE,
    TEMPORAL_JSON,
    TEMPORAL_OPTIONS,
    CannotRun,
    Processes,
    claim_port,
    lock_home,
    stop_with_make,
    temporal_ports,
    temporal_program,
    temporal_ui_host,
)
from dashboard.server.reload import reload_environment
from dashboard.server.static_files import collect_static
from orchestration.extras import how_to_install
from orchestration.startup import CannotStart, prepare
from orchestration.telemetry.log_lines import is_json
from orchestration.temporal.profile import DEFAULT_NAMESPACE, names_a_server
from orchestration.temporal.stopping import SIGNALS

log = logging.getLogger(__name__)

REPORT_EVERY = 30.0
"""Seconds of waiting after which the missing parts are reported, repeatedly."""

POLL_INTERVAL = 0.25

env = environ.Env()


class Command(BaseCommand):
    """Run all processes until Ctrl-C."""

    help = "Run Temporal (unless TEMPORAL_ADDRESS or a profile says where it is), a worker and the dashboard."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add --reload."""
        about = "restart worker and web when a Python file changes, and show their logs"
        parser.add_argument("--reload", action="store_true", help=about)

    def handle(self, *args: Any, reload: bool = False, **options: Any) -> None:
        """Prepare, start all processes, announce when they are healthy, and stop them together."""
        stop_with_make()
        if reload and find_spec("watchfiles") is None:
            raise CommandError(f"--reload needs watchfiles: run {how_to_install('dev')}")
        try:
            prepare()
            own = _prepare() | (reload_environment() | {SHOW_LOGS: "1"} if reload else {})
            login = make_first_login()
        except CannotStart as error:
            raise CommandError(str(error), returncode=2) from None
        except CannotRun as error:
            raise CommandError(str(error)) from None
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error}") from None
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)
        connections.close_all()
        processes = Processes()
        for name, command in parse_procfile(resources.PROCFILE.read_text()).processes.items():
            if name != STOPPED_LAST or "TEMPORAL_PORT" in own:
                processes.add_process(
                    name, command, env={**os.environ, **own}, cwd=resources.CHECKOUT and str(resources.CHECKOUT)
                )
        threading.Thread(target=self._announce, args=(own, login), daemon=True).start()
        processes.loop()
        was_stopped = processes.returncode in {128 + number for number in SIGNALS}
        sys.exit(0 if was_stopped else processes.returncode)

    def _announce(self, own: dict[str, str], login: dict[str, str] | None) -> None:
        """Wait until all parts are healthy, then print the URL and the login in one line."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(own["HOST"], own["HOST"])  # noqa: S104
        address = f"http://{f'[{host}]' if ':' in host else host}:{own['PORT']}/"
        reported = time.monotonic()
        while (missing := _unavailable_parts(f"{address}healthz")) is not None:
            if time.monotonic() - reported > REPORT_EVERY:
                self._say(f"Still waiting: {missing}. Logs: {settings.HOME / 'logs'}", self.stderr)
                reported = time.monotonic()
            time.sleep(POLL_INTERVAL)
        path = settings.HOME / FIRST_LOGIN
        if login is not None and is_terminal(self.stdout):
            how = f"log in as {login['username']} with {login['password']} (API token {login['token']}; kept in {path})"
        else:
            how = f"the first login is in {path}" if path.exists() else "log in as before"
        shown = f"{settings.CANOPY_URL}/" if settings.ADDRESS.is_given else address
        self._say(f"Canopy is at {shown} - {how}", self.stdout)

    def _say(self, text: str, to: OutputWrapper) -> None:
        """Write a line; where lines are JSON, one of those."""
        if is_json():
            log.info(text)
        else:
            to.write(text)
            to.flush()


def _prepare() -> dict[str, str]:
    """Lock the home, claim ports, migrate, collect static files; return the environment of the processes."""
    lock_home(settings.HOME)
    given = env.str("PORT", default="8000")
    if not given.isdecimal():
        raise CannotRun(f"PORT is {given!r}, which is not a number.")
    host = env.str("HOST", default="127.0.0.1")
    own = {
        "CANOPY_HOME": str(settings.HOME),
        "HOST": host,
        "PORT": str(claim_port(host, int(given))),
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "PYTHON": sys.executable,
        "PYTHONUNBUFFERED": "1",
        SUPERVISOR: str(os.getpid()),
        "CANOPY_DRAIN_DELAY": "0",  # there is nobody else to serve meanwhile
    }
    if not names_a_server():
        own |= _temporal()
    # Without a pool: its threads must not exist when processes are forked, and it hides why a database is unreachable.
    connections[DEFAULT_DB_ALIAS].settings_dict.get("OPTIONS", {}).pop("pool", None)
    call_command("migrate", verbosity=0)
    collect_static()
    return own


def _temporal() -> dict[str, str]:
    """Return the environment of the embedded Temporal, and of those that use it."""
    grpc, ui = temporal_ports(settings.HOME)
    own = {
        "TEMPORAL_CONFIG_FILE": os.devnull,  # a profile for Temporal's other programs is not about this one
        "TEMPORAL_ADDRESS": f"127.0.0.1:{grpc}",
        "TEMPORAL_NAMESPACE": settings.TEMPORAL_NAMESPACE or DEFAULT_NAMESPACE,
        "TEMPORAL_PORT": str(grpc),
        "TEMPORAL_UI_OPTIONS": NO_TEMPORAL_UI,
        "TEMPORAL_UI_URL": "",
        "TEMPORAL_BINARY": temporal_program(),
        "TEMPORAL_OPTIONS": f"{TEMPORAL_OPTIONS} {TEMPORAL_JSON}" if is_json() else TEMPORAL_OPTIONS,
        "GOGC": env.str("GOGC", default=TEMPORAL_GARBAGE),
    }
    if env.bool("CANOPY_TEMPORAL_UI", default=False):
        host = temporal_ui_host(settings.HOME)
        own |= {"TEMPORAL_UI_OPTIONS": f"--ui-ip {host} --ui-port {ui}", "TEMPORAL_UI_URL": f"http://{host}:{ui}"}
    return own


def _unavailable_parts(health: str) -> str | None:
    """Return which parts are not healthy yet, or None if all are."""
    name = settings.ALLOWED_HOSTS[0].lstrip(".")
    request = urllib.request.Request(health, headers={} if name == "*" else {"Host": name})  # noqa: S310  our own
    try:
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            return None
    except urllib.error.HTTPError as error:
        body = error.read()
    except OSError:
        return "the web process is not responding"
    try:
        parts = json.loads(body)
        return ", ".join(
            f"{name} is not responding" for name, part in parts.items() if isinstance(part, dict) and not part["ok"]
        )
    except ValueError:
        return body.decode(errors="replace")[:200]
