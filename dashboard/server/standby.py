"""Standby: a process that has loaded everything, and waits for a line of input to begin its work."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import ModuleType

STANDBY = "--standby"
_loading_since = time.time()


def await_work() -> None:
    """Return once there is a line of input; end the process where the input ends.

    Where a file that it has loaded has changed meanwhile, the process begins anew.
    """
    try:
        line = sys.stdin.readline()
    except KeyboardInterrupt:
        line = ""
    if not line:
        os._exit(0)
    if has_changed_since(_loading_since):
        arguments = [each for each in sys.orig_argv[1:] if each != STANDBY]
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606  itself


def has_changed_since(moment: float) -> bool:
    """Whether the file of a loaded module was changed after a moment, in seconds of the epoch."""
    return any(_changed_at(module) > moment for module in list(sys.modules.values()))


def _changed_at(module: ModuleType) -> float:
    with suppress(OSError, TypeError, KeyError):
        return Path(vars(module)["__file__"]).stat().st_mtime
    return 0.0
