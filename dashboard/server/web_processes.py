"""Several web processes that share a port, below one that starts, watches and stops them: `canopy web --workers`.

uvicorn's own supervisor, but: signals of a terminal reach the one above alone, which passes one on to each; a hang-up
stops instead of restarting; none survives the one above; and a start that fails ends all with its status.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import Any

from uvicorn import Config
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from dashboard.server.keep_alive import end_with_parent
from orchestration.temporal.stopping import SIGNALS

log = logging.getLogger(__name__)

HEARS_WITHIN = 30
"""Seconds in which a process has to answer the one above: loading takes many on a busy machine."""

CANNOT_START = (2, 3)
"""Exit statuses of a start that would fail again: a setting that is wrong, and uvicorn's own."""


class WebProcess(Process):
    """A web process, in a process group of its own."""

    def target(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until the process above says otherwise, or ends."""
        end_with_parent()
        above = parent_process()
        if above is None or not above.is_alive():  # it has ended before this one could ask to be told
            return
        os.setpgid(0, 0)
        super().target(sockets)

    def is_alive(self, timeout: float = HEARS_WITHIN) -> bool:
        """Whether it lives and answers in time. One that ends meanwhile is not waited for."""
        with suppress(OSError, EOFError):
            self.parent_conn.send(b"ping")
            heard = wait([self.parent_conn, self.process.sentinel], timeout)
            if self.process.is_alive() and self.parent_conn in heard:
                self.parent_conn.recv()
                return True
        return False


class WebProcesses(Multiprocess):
    """Starts the processes of a configuration, replaces those that die, and stops them together."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        """Take the sockets, which are closed at the end: nothing would answer who still connects to them."""
        is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        super().__init__(config, sockets)
        if is_ignored:  # by nohup
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.exit_status = 0

    def init_processes(self) -> None:
        """Start as many as are wanted."""
        self.processes = [self._start() for _ in range(self.processes_num)]

    def keep_subprocess_alive(self) -> None:
        """Replace what has died or hangs. A start that fails ends all."""
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set() or self._is_asked_to_end() or process.is_alive():
                continue
            process.kill()
            process.join()
            if process.exitcode in CANNOT_START:
                self.exit_status = process.exitcode or 0
                self.should_exit.set()
            else:
                log.warning("Web process %s ended (%s), is started again.", process.pid, process.exitcode)
                self.processes[place] = self._start()

    def handle_hup(self) -> None:
        """Stop: settings are read at the start alone."""
        self.should_exit.set()

    def terminate_all(self) -> None:
        """Ask all to stop, and listen no more."""
        for each in self.sockets:
            each.close()
        super().terminate_all()

    def _start(self) -> WebProcess:
        process = WebProcess(self.config, self.sockets)
        process.start()
        return process

    def _is_asked_to_end(self) -> bool:
        return bool(set(self.signal_queue) & set(SIGNALS))


def serve(application: str, **options: Any) -> int:
    """Serve with `workers` processes until a signal, and return the exit status."""
    config = Config(application, **options)
    processes = WebProcesses(config, [config.bind_socket()])
    processes.run()
    return processes.exit_status
