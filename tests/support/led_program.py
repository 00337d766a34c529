"""A program that writes rows while it leads: `python -m tests.support.led_program MACHINE`, on DATABASE_URL.

Each row is a CommonValue: the time at which it was written, and the process that wrote it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

import django

django.setup(set_prefix=False)

from dashboard.database.fencing import fenced  # noqa: E402
from dashboard.database.threads import in_thread  # noqa: E402
from dashboard.models import CommonValue  # noqa: E402
from dashboard.server import leadership  # noqa: E402

LEASE = "test"


def _write() -> None:
    CommonValue.objects.create(name=f"{time.monotonic_ns():020}", value=str(os.getpid()))


async def write_rows() -> None:
    """Write a row many times a second."""
    while True:
        await in_thread(fenced(_write))()
        await asyncio.sleep(0.05)


async def keep_writing() -> None:
    """Write again after an error, as the web process's loops do."""
    while True:
        try:
            await write_rows()
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
        await asyncio.sleep(0.05)


async def main() -> None:
    """Lead until SIGTERM."""
    leading = asyncio.create_task(leadership.lead(LEASE, [keep_writing]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leading.cancel)
    await asyncio.wait([leading])


if __name__ == "__main__":
    leadership._machine = lambda: sys.argv[1]
    asyncio.run(main())
