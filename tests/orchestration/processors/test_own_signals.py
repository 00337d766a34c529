"""A worker's own code cannot stop it; others can, and what it starts may be stopped."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import _thread, os, signal, subprocess, sys, threading, time
from orchestration.processors.own_signals import StopsItsWorker, refuse_own_signals
refuse_own_signals()
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process, and process group, of its own: hooks stay for as long as it lives."""
    return subprocess.run(
        [sys.executable, "-c", BEGIN + body],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    "call",
    [
        "os.kill(os.getpid(), signal.SIGTERM)",
        "os.kill(os.getpid(), 2)",
        "os.kill(0, signal.SIGTERM)",
        "os.kill(-os.getpgrp(), signal.SIGINT)",
        "os.killpg(0, signal.SIGTERM)",
        "os.killpg(os.getpgrp(), signal.SIGTERM)",
        "signal.pthread_kill(threading.get_ident(), signal.SIGTERM)",
        "signal.raise_signal(signal.SIGHUP)",
        "_thread.interrupt_main()",
    ],
)
def test_a_signal_that_would_stop_the_worker_is_an_error_where_it_is_sent(call: str) -> None:
    body = f"""
try:
    {call}
except StopsItsWorker as error:
    print(error)
"""
    ended = run(body)
    assert ended.returncode == 0, ended
    assert "to its own worker, which would have stopped: nothing was sent." in ended.stdout


def test_what_a_worker_starts_may_be_stopped_and_other_signals_are_sent() -> None:
    body = """
one = subprocess.Popen(["sleep", "300"], start_new_session=True)
os.killpg(one.pid, signal.SIGTERM)
other = subprocess.Popen(["sleep", "300"])
other.terminate()
os.kill(os.getpid(), 0)
forked = os.fork()
if not forked:
    os.kill(os.getpid(), signal.SIGTERM)
print(one.wait(), other.wait(), os.waitpid(forked, 0)[1])
"""
    assert run(body).stdout.split() == ["-15", "-15", "15"]


def test_a_signal_of_another_process_stops_it() -> None:
    body = """
subprocess.Popen(["sh", "-c", "kill $PPID"])
time.sleep(300)
"""
    assert run(body).returncode == -15
