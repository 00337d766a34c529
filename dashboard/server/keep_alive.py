"""Keep one program alive: `python -m dashboard.server.keep_alive NAME PROGRAM ARG…`, a line of the Procfile.

honcho stops everything when one process ends. Run below this one, a program that dies is started again alone. Its
output goes to CANOPY_HOME/logs/NAME.log, or with SHOW_LOGS to the terminal. Knows nothing of Django.

A worker or web process whose event loop has not run for FROZEN_AFTER is ended, hard if need be, and started again, too.

A worker that has died once gets a spare: another process that has loaded everything and waits. Loading takes seconds,
on a busy machine many, and everything that was at work waits for it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from dashboard.server.pulse import Pulse
from dashboard.server.standby import STANDBY

SUPERVISOR = "CANOPY_SUPERVISOR_PID"
"""Environment: the process at whose end the program is stopped, too."""

SHOW_LOGS = "CANOPY_SHOW_LOGS"
"""Environment: set, programs write to the terminal instead of log files."""

OPEN_ACTIVITIES = "CANOPY_OPEN_ACTIVITIES"
"""Environment: the folder in which a worker notes what is at work, for the one that replaces it."""

ALIVE_FILE = "CANOPY_ALIVE_FILE"
"""Environment: the file that the program's event loop touches while it runs."""

TELL_WHERE = signal.SIGUSR2
"""Has the program write where its threads are."""

SPARES = {"worker": STANDBY}
"""Programs that can wait until they are needed, by name: the argument with which they wait for a line of input."""

SPARE_AFTER = 10.0
"""Seconds of life after which a program gets its spare: both would load at the same time otherwise."""

PAUSES = (0.2, 1.0, 2.0, 5.0)
"""Seconds before the next start, longer while the program keeps dying early."""

EARLY_DEATH = 10.0
"""Seconds of life below which a death counts as early."""

STOP_WITHIN = 3.5
"""Seconds until a program that does not stop is killed; honcho kills the keepers 5 s after it stopped the first."""

FROZEN_AFTER = float(os.environ.get("CANOPY_FROZEN_AFTER") or 30)
"""Seconds for which a program may leave its file untouched, by the time that it could have had; 0 for any number. After
a third of 30 s its activities are lost to Temporal anyway."""

ALIVE = {"worker", "web"}
"""Programs that touch a file while they are alive."""

POLL_EVERY = 0.5
RELOADS = "CANOPY_RELOAD"
"""Environment: set while programs restart by themselves when a file changes; then there is no spare."""

LOG_LIMIT = 20 * 1024 * 1024
PR_SET_PDEATHSIG = 1


class Keeper:
    """Starts a program again whenever it ends, until a signal or the end of the supervisor."""

    def __init__(self, name: str, command: Sequence[str], log: IO[bytes]) -> None:
        self._name, self._command, self._log = name, command, log
        self._stopping = False
        self._deaths = 0
        self._spare: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Run the program; return once a signal or the end of the supervisor has stopped it."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        while not self._stopping:
            started = time.monotonic()
            program = self._take_spare() or self._start()
            self._await(program)
            if self._stopping:
                for each in (program, self._spare):
                    if each is not None:
                        _end(each)
                return
            if program.returncode == 0:
                self._drop_spare()
            self._deaths = self._deaths + 1 if time.monotonic() - started < EARLY_DEATH else 1
            pause = PAUSES[min(self._deaths, len(PAUSES)) - 1]
            self._say(f"{self._name} ended ({program.returncode}), is started again")
            self._pause(pause)

    def _start(self, *more: str, takes_input: bool = False) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._command, *more],
            stdin=subprocess.PIPE if takes_input else None,
            env=os.environ
            | {
                OPEN_ACTIVITIES: str(Path(os.environ["CANOPY_HOME"], "open", self._name)),
                ALIVE_FILE: str(self._alive_file),
            },
            stdout=self._log,
            stderr=self._log,
            preexec_fn=end_with_parent,
        )

    def _prepare_spare(self) -> None:
        if self._name in SPARES and self._spare is None and not os.environ.get(RELOADS):
            self._spare = self._start(SPARES[self._name], takes_input=True)

    def _take_spare(self) -> subprocess.Popen[bytes] | None:
        """Have the spare do its work, and return it; None where there is none that lives."""
        spare, self._spare = self._spare, None
        if spare is None or spare.stdin is None or spare.poll() is not None:
            return None
        try:
            with spare.stdin as begin:
                begin.write(b"\n")
        except OSError:
            return None
        return spare

    def _drop_spare(self) -> None:
        """End the spare: who stopped the program may have changed what it loads."""
        if self._spare is not None:
            _end(self._spare)
            self._spare = None

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _pause(self, seconds: float) -> None:
        """Sleep until stopped: a signal alone does not end time.sleep."""
        until = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < until:
            time.sleep(0.05)
            self._stopping = self._stopping or not _is_supervised()

    def _await(self, program: subprocess.Popen[bytes]) -> None:
        spare_at = time.monotonic() + SPARE_AFTER
        pulse = Pulse(self._alive_file, program.pid)
        while not self._stopping:
            if self._deaths and time.monotonic() > spare_at:
                self._prepare_spare()
            try:
                program.wait(POLL_EVERY)
            except subprocess.TimeoutExpired:
                self._stopping = self._stopping or not _is_supervised()
                if self._is_frozen(pulse):
                    self._end_frozen(program)
                    return
            else:
                return

    @property
    def _alive_file(self) -> Path:
        return Path(os.environ["CANOPY_HOME"], "alive", self._name)

    def _is_frozen(self, pulse: Pulse) -> bool:
        """Whether to end the program; not one that somebody may be debugging. A spare is loaded in time."""
        if self._name not in ALIVE or not FROZEN_AFTER or os.environ.get(RELOADS):
            return False
        silence = pulse.silence()
        if silence > FROZEN_AFTER / 3:
            self._prepare_spare()
        return silence > FROZEN_AFTER

    def _end_frozen(self, program: subprocess.Popen[bytes]) -> None:
        """End a program that does nothing any more; its log shows where it is."""
        self._say(f"{self._name} has not answered for {FROZEN_AFTER:g} s and is ended")
        program.send_signal(TELL_WHERE)
        time.sleep(POLL_EVERY)
        _end(program)

    def _say(self, text: str) -> None:
        if os.environ.get("LOG_FORMAT", "").lower() == "json":
            from orchestration.telemetry import log_lines  # takes time, which a keeper seldom needs

            log_lines.configure()
            logging.getLogger(__name__).warning(text, extra={"program": self._name, "log": str(self._log.name)})
            return
        sys.stdout.write(f"{text}; see {self._log.name}\n")
        sys.stdout.flush()


def _is_supervised() -> bool:
    """Whether the supervisor lives; a zombie does not count."""
    supervisor = os.environ.get(SUPERVISOR)
    if supervisor is None:
        return True
    try:
        os.kill(int(supervisor), 0)
        state = Path("/proc", supervisor, "stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except OSError:
        return not Path("/proc/self/stat").exists()  # no /proc at all: the signal got through, and that must do
    return state not in "ZX"


def end_with_parent() -> None:
    """Have the kernel end this process when its parent is killed (Linux; elsewhere a supervisor has to)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _end(program: subprocess.Popen[bytes]) -> None:
    program.terminate()
    try:
        program.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def _open_log(name: str) -> IO[bytes]:
    if os.environ.get(SHOW_LOGS):
        return sys.stdout.buffer
    path = Path(os.environ["CANOPY_HOME"], "logs", f"{name}.log")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


if __name__ == "__main__":
    with _open_log(sys.argv[1]) as log:
        Keeper(sys.argv[1], sys.argv[2:], log).run()
