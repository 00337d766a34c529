"""The signal by which a process says where it stands still, with and without a file that it touches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from orchestration.temporal.alive_file import ALIVE_FILE

PROGRAM = """
import asyncio, sys, time
from orchestration.temporal.alive_file import touch_until_canceled

async def stand_still():
    await touch_until_canceled()
    print("ready", flush=True)
    sys.stdin.readline()

asyncio.run(stand_still())
"""


def test_sigusr2_writes_where_threads_are_and_ends_nothing_without_a_file() -> None:
    without = {name: value for name, value in os.environ.items() if name != ALIVE_FILE}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=-1, stdout=-1, stderr=-1, text=True, env=without
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR2)
        written = [process.stderr.readline()]
        while "stand_still" not in written[-1]:
            written.append(process.stderr.readline())
            assert written[-1], written
        assert process.stdin is not None
        print(file=process.stdin, flush=True)
        assert process.wait(60) == 0
    assert "Current thread" in "".join(written)
