"""The processes of `make run`: their ports, the home that they alone may use, and the order in which they stop."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from honcho.manager import Manager
from honcho.printer import Message, Printer

STOPPED_LAST = "temporal"
"""Stops after the others: worker and web hand their work back to it."""

TEMPORAL_LISTS = (
    "--dynamic-config-value history.visibilityProcessorMaxPollRPS=1"
    " --dynamic-config-value history.visibilityTaskBatchSize=1000"
)
"""How often the embedded Temporal writes what it lists: once a second."""

TEMPORAL_OPTIONS = (
    "--sqlite-pragma journal_mode=WAL --sqlite-pragma synchronous=NORMAL --sqlite-pragma wal_autocheckpoint=10000"
    " --dynamic-config-value history.transferProcessorMaxPollRPS=32"
    f" {TEMPORAL_LISTS} --log-level warn"
)
"""Of the embedded Temporal. How often it looks for what to pass on, and for what to list: docs/decisions/0013."""

TEMPORAL_GARBAGE = "200"
"""Its GOGC, unless the environment has one: it collects half as often, for 80 MB more."""

FREE_PORTS = range(20_000, 32_000)
"""Where free ports are looked for: below those of outgoing connections, any of which might have taken one by then."""

FREE_WITHIN = 6.0
"""Seconds that a run which is just stopping may still hold its home; stopping takes 5 s at most."""

POLL_EVERY = 0.25


class CannotRun(Exception):
    """Something that the person who typed `make run` can put right; the message says what."""


class Processes(Manager):
    """honcho's manager, with an order of stopping, and safe to stop while it is still starting."""

    def __init__(self) -> None:
        super().__init__(_OutputPrinter(sys.stdout))
        self._is_asked = False
        self._told: set[str] = set()

    def terminate(self) -> None:
        """Ask for the end. honcho's own fails before every process has begun, so the loop does it when it may."""
        self._is_asked = True

    def _any_stopped(self) -> bool:
        return self._is_asked or bool(super()._any_stopped())

    def _all_stopped(self) -> bool:
        if self._is_asked:
            self._tell_next()
        return bool(super()._all_stopped())

    def _tell_next(self) -> None:
        """Send SIGTERM to all that use Temporal, and to Temporal once they are gone."""
        running = {name for name, process in self._processes.items() if "returncode" not in process}
        for name in (running - {STOPPED_LAST} or running) - self._told:
            self._told.add(name)
            self._procmgr.terminate(self._processes[name]["pid"])


class _OutputPrinter(Printer):
    """Prints what processes say, without honcho's own chatter."""

    def write(self, message: Message) -> None:
        """Print a line unless it is honcho's."""
        if message.name != "system":
            super().write(message)


def lock_home(home: Path) -> None:
    """Keep the home for this run, until the last of its processes is gone. Raises CannotRun while another has it.

    Two Temporal servers on one database file would ruin it. Forked processes inherit the lock, which makes it last.
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
    """Return ports of loopback that nobody uses, for processes that are about to start. Raises CannotRun."""
    found = list[int]()
    for port in random.sample(FREE_PORTS, len(FREE_PORTS)):
        with suppress(OSError), _listen("127.0.0.1", port):
            found.append(port)
        if len(found) == number:
            return found
    raise CannotRun(f"Fewer than {number} of the loopback ports {FREE_PORTS.start} to {FREE_PORTS.stop - 1} are free.")


def temporal_ports(home: Path) -> tuple[int, int]:
    """Return the ports of last time if they are free, so that links into Temporal's UI stay good; else free ones."""
    kept = home / "temporal-ports.json"
    try:
        grpc, ui = (claim_port("127.0.0.1", port) for port in json.loads(kept.read_text()))
    except (OSError, ValueError, TypeError, CannotRun):
        grpc, ui = free_ports(2)
        kept.write_text(json.dumps([grpc, ui]))
    return grpc, ui


def temporal_program() -> str:
    """Return a temporal that the machine has of its own, else the one of the extra `embedded`. Raises CannotRun."""
    beside = str(Path(sys.executable).parent)
    elsewhere = os.pathsep.join(each for each in os.environ.get("PATH", "").split(os.pathsep) if each != beside)
    found = shutil.which("temporal", path=elsewhere) or shutil.which("temporal", path=beside)
    if found is None:
        raise CannotRun("The `temporal` program was not found. Install canopy[embedded], or set TEMPORAL_ADDRESS.")
    return found


def stop_with_make() -> None:
    """End this process, as Ctrl-C does, when the make that started it is interrupted or gone.

    A terminal interrupts make and us alike. A SIGINT sent to make alone only makes it wait for us, in silence; what
    shows is that it no longer catches the signal (Linux).
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
