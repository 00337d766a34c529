"""The processes of `make run`: their ports, the lock on their home, and the order in which they stop."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import random
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

from honcho.manager import Manager
from honcho.printer import Message, Printer

from orchestration.extras import how_to_install
from orchestration.telemetry.log_lines import is_json
from orchestration.temporal.stopping import take_signals

log = logging.getLogger(__name__)

STOPPED_LAST = "temporal"
"""Stops after the others, because worker and web return their tasks to it."""

TEMPORAL_LISTS = (
    "--dynamic-config-value history.visibilityProcessorMaxPollRPS=1"
    " --dynamic-config-value history.visibilityTaskBatchSize=1000"
)
"""The embedded Temporal updates its visibility store once a second."""

TEMPORAL_HOSTS = '--dynamic-config-value frontend.httpAllowedHosts=["127.0.0.1:*","localhost:*"]'
"""The embedded Temporal has an API over HTTP, on a port of its choice, that asks for no login. By default it answers
under every host name, and so also to a page whose name is made to point to this machine."""

NO_TEMPORAL_UI = "--headless"
"""Of the embedded Temporal, unless its UI is asked for: it asks for no login either."""

TEMPORAL_OPTIONS = (
    "--sqlite-pragma journal_mode=WAL --sqlite-pragma synchronous=NORMAL --sqlite-pragma wal_autocheckpoint=10000"
    " --dynamic-config-value history.transferProcessorMaxPollRPS=32"
    f" {TEMPORAL_LISTS} {TEMPORAL_HOSTS} --log-level warn"
)
"""Of the embedded Temporal. How often it looks for what to pass on, and for what to list: docs/decisions/0013."""

TEMPORAL_JSON = "--log-format json --output none"
"""Its lines as JSON, and not the four lines of text with which it begins."""

TEMPORAL_GARBAGE = "200"
"""Its GOGC, unless the environment has one: it collects half as often, for 80 MB more."""

FREE_PORTS = range(20_000, 32_000)
"""Range of free ports: below the ephemeral ones, which an outgoing connection might take in the meantime."""

FREE_WITHIN = 6.0
"""Seconds to wait for a run that is just stopping, which takes 5 s at most, to release its home."""

POLL_EVERY = 0.25


class CannotRun(Exception):
    """Why `make run` cannot start; the message says what to change."""


class Processes(Manager):
    """honcho's manager, which also stops in order, and safely while it is still starting."""

    def __init__(self) -> None:
        super().__init__(_OutputPrinter(sys.stdout))
        self._is_stopping = False
        self._terminated: set[str] = set()

    def loop(self) -> None:
        """Run all processes until one of them ends, a signal comes, or the terminal is closed.

        The processes that honcho forks inherit the handler, which does nothing there: they live as long as theirs do.
        """

        def end(number: int, frame: FrameType | None) -> None:
            self.returncode = 128 + number
            self.terminate()

        take_signals(end)
        super().loop()

    def terminate(self) -> None:
        """Request the end, which the loop carries out: honcho's own method fails until every process has started."""
        self._is_stopping = True

    def _any_stopped(self) -> bool:
        return self._is_stopping or bool(super()._any_stopped())

    def _all_stopped(self) -> bool:
        if self._is_stopping:
            self._terminate_next()
        return bool(super()._all_stopped())

    def _terminate_next(self) -> None:
        """Send SIGTERM to all that use Temporal, and to Temporal once they are gone."""
        running = {name for name, process in self._processes.items() if "returncode" not in process}
        for name in (running - {STOPPED_LAST} or running) - self._terminated:
            self._terminated.add(name)
            self._procmgr.terminate(self._processes[name]["pid"])


class _OutputPrinter(Printer):
    """Prints the output of processes without honcho's own lines; where lines are JSON, as they are."""

    def write(self, message: Message) -> None:
        """Print a line unless it is honcho's. A terminal that has been closed keeps nothing from ending in order."""
        if message.name == "system":
            return
        with suppress(OSError):
            if is_json():
                _print_json(message, self.output)
            else:
                super().write(message)


def _print_json(message: Message, to: TextIO) -> None:
    """Print the lines of a program that are JSON, and log the others with its name."""
    given = message.data.decode(errors="replace") if isinstance(message.data, bytes) else str(message.data)
    for line in given.splitlines():
        if line.startswith("{"):
            print(line, file=to, flush=True)
        else:
            log.info(line, extra={"program": message.name})


def lock_home(home: Path) -> None:
    """Lock the home for this run until the last of its processes is gone. Raises CannotRun while another run has it.

    Two Temporal servers would corrupt one database file. Forked processes inherit the lock, and so keep it.
    """
    lock = os.open(home / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + FREE_WITHIN
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.read(lock, 20).decode() or "unknown"
                raise CannotRun(
                    f"Canopy is already running in {home} (process {holder}). Stop it, or choose another CANOPY_HOME."
                ) from None
            time.sleep(POLL_EVERY)
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            return


def claim_port(host: str, port: int) -> int:
    """Return the port if this process may listen there, or a free one for 0. Raises CannotRun."""
    try:
        with _listen(host, port) as server:
            return int(server.getsockname()[1])
    except (OSError, OverflowError) as error:
        reason = str(getattr(error, "strerror", None) or error).partition(" (")[0].rstrip(".")
        raise CannotRun(f"Port {port} of {host} cannot be used: {reason}. Choose another with PORT or HOST.") from None


def free_ports(number: int) -> list[int]:
    """Return unused ports of loopback for processes that are about to start. Raises CannotRun."""
    found = list[int]()
    for port in random.sample(FREE_PORTS, len(FREE_PORTS)):
        with suppress(OSError), _listen("127.0.0.1", port):
            found.append(port)
        if len(found) == number:
            return found
    raise CannotRun(f"Fewer than {number} of the loopback ports {FREE_PORTS.start} to {FREE_PORTS.stop - 1} are free.")


def temporal_ports(home: Path) -> tuple[int, int]:
    """Return the last run's ports if they are free, so that links into Temporal's UI stay valid; else free ones."""
    kept = home / "temporal-ports.json"
    try:
        grpc, ui = (claim_port("127.0.0.1", port) for port in json.loads(kept.read_text()))
    except (OSError, ValueError, TypeError, CannotRun):
        grpc, ui = free_ports(2)
        kept.write_text(json.dumps([grpc, ui]))
    return grpc, ui


def temporal_of_run(home: Path) -> dict[str, str]:
    """Return the environment with which others reach the Temporal of the run in a home; empty where none runs."""
    try:
        with (home / "run.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return {}
    except BlockingIOError:
        grpc, _ = json.loads((home / "temporal-ports.json").read_text())
        return {"TEMPORAL_ADDRESS": f"127.0.0.1:{grpc}", "TEMPORAL_CONFIG_FILE": os.devnull}
    except OSError:
        return {}


def temporal_ui_host(home: Path) -> str:
    """Return the loopback address of Temporal's UI: one of 2^24 by chance, the same in every run (Linux).

    The UI answers under every host name and asks for no login. A page of the web that has its own name point to
    loopback would have to guess the address. Elsewhere than on Linux there is only 127.0.0.1.
    """
    if sys.platform != "linux":
        return "127.0.0.1"
    kept = home / "temporal-ui-host"
    if not kept.exists():
        kept.write_text(f"127.{secrets.randbelow(254) + 1}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}")
    return kept.read_text().strip()


def temporal_program() -> str:
    """Return the `temporal` on the PATH, else the one of the extra `embedded`. Raises CannotRun."""
    beside = str(Path(sys.executable).parent)
    elsewhere = os.pathsep.join(each for each in os.environ.get("PATH", "").split(os.pathsep) if each != beside)
    found = shutil.which("temporal", path=elsewhere) or shutil.which("temporal", path=beside)
    if found is None:
        raise CannotRun(
            f"The `temporal` program was not found. Run: {how_to_install('embedded')}. Or set TEMPORAL_ADDRESS."
        )
    return found


def stop_with_make() -> None:
    """End this process, as Ctrl-C does, when the make that started it is interrupted or gone.

    A terminal interrupts make and its child alike. On a SIGINT to make alone it only waits for its child; the one sign
    of it is that make no longer catches the signal (Linux).
    """
    if "MAKELEVEL" not in os.environ:
        return
    make = os.getppid()
    could_catch = _catches_interrupt(make)

    def watch() -> None:
        while os.getppid() == make and _catches_interrupt(make) == could_catch:
            time.sleep(POLL_EVERY)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


def _catches_interrupt(process: int) -> bool:
    try:
        lines = Path("/proc", str(process), "status").read_text().splitlines()
    except OSError:
        return False
    caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")), 0)
    return bool(caught >> (signal.SIGINT - 1) & 1)


def _listen(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
