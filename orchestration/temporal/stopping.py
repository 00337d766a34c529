"""How a process ends: the first signal asks for it, and a second one, or the deadline, ends it at once.

SIGHUP is a terminal that has been closed. It asks as often as it likes, and nohup has it ignored.

The deadline is kept by a thread: code that holds the event loop does not keep the process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from orchestration.telemetry import log_lines

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What asks a process to end."""

ONE_REQUEST = 0.5
"""Seconds within which signals are one request: a terminal interrupts a whole group, whose supervisor does, too."""

MOMENT = 2.0
"""Seconds beyond the grace for what is canceled at its end, and handed on."""

OVERDUE = 1
"""Exit code of a process that its deadline has ended; one that a second signal ends has 128 and the signal's number."""

Begin = Callable[[int, FrameType | None], None]


class Stopping:
    """Takes the signals of a process, once it is asked to: see the module. Only in the main thread."""

    def __init__(self, begin: Begin, grace: float) -> None:
        """Take what begins the end, and the seconds that what is at work gets."""
        self._begin, self._grace = begin, grace
        self._begun_at: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the process has been asked to end."""
        return self._begun_at is not None

    def take_signals(self) -> None:
        """Handle the signals from now on."""
        take_signals(self.handle)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Begin the end, or end the process at once where it has begun before."""
        now = time.monotonic()
        if self._begun_at is None:
            self._begun_at = now
            deadline = threading.Timer(self._grace + MOMENT, self._end_overdue)
            deadline.daemon = True
            deadline.start()
            self._begin(number, frame)
        elif now - self._begun_at > ONE_REQUEST and number != signal.SIGHUP:
            os._exit(128 + number)

    def _end_overdue(self) -> None:
        log_lines.write_unlocked(f"Not stopped within {self._grace:g} s and a moment: the process ends.")
        os._exit(OVERDUE)


def take_signals(handle: Begin) -> None:
    """Handle what asks this process to end, but no hang-up that whoever started it has had ignored."""
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)


def end_process() -> NoReturn:
    """End the process with 0, all work being done: threads of the SDK sometimes crash the interpreter at its exit."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # of a terminal that has been closed
            stream.flush()
    os._exit(0)
