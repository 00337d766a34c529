"""Pulse: for how long a program's event loop has not touched its file, by the time that the program could have had.

A machine that is busy or was suspended takes time from everybody: from whoever looks at the file, too, and from the
program while it waits for a processor. None of that counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

COUNTED = 1.0
"""Seconds that count at most between two looks, which are half a second apart where there is time."""


class Pulse:
    """Looks at the file of one run of a program. Before the program has touched it first, nothing counts."""

    def __init__(self, file: Path, process: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._process, self._clock = file, process, clock
        self._touched, self._has_begun = self._last_touch(), False
        self._looked, self._waited, self._silence = clock(), _waited_by(process), 0.0

    def silence(self) -> float:
        """Return the seconds that count since the file was last touched; to be called regularly."""
        now, waited, touched = self._clock(), _waited_by(self._process), self._last_touch()
        if touched != self._touched:
            self._has_begun, self._touched, self._silence = True, touched, 0.0
        elif self._has_begun:
            self._silence += max(0.0, min(now - self._looked, COUNTED) - (waited - self._waited))
        self._looked, self._waited = now, waited
        return self._silence

    def _last_touch(self) -> int:
        try:
            return self._file.stat().st_mtime_ns
        except OSError:
            return 0


def _waited_by(process: int) -> float:
    """Return the seconds that a process's main thread has waited for a processor (Linux; elsewhere 0)."""
    try:
        return int(Path("/proc", str(process), "schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
