"""A file that the worker's event loop touches while it runs, for whoever restarts a worker that stands still.

The environment's CANOPY_ALIVE_FILE names it: `manage.py run` sets it, and a liveness probe can look at it. On SIGUSR2
the process writes where each of its threads is to its standard error, even while one holds the interpreter lock.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
from contextlib import suppress
from pathlib import Path

ALIVE_FILE = "CANOPY_ALIVE_FILE"
TOUCH_EVERY = 1.0


async def touch_until_canceled() -> None:
    """Touch the file every TOUCH_EVERY seconds, if the environment names one. SIGUSR2 is answered in any case."""
    faulthandler.register(signal.SIGUSR2, all_threads=True)  # without it the signal ends the process
    given = os.environ.get(ALIVE_FILE)
    if not given:
        return
    while True:
        _touch(Path(given))
        await asyncio.sleep(TOUCH_EVERY)


def _touch(path: Path) -> None:
    """Touch a file from the event loop itself, since this is what it is a sign of."""
    with suppress(OSError):  # a full disk: it stays as it was
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
