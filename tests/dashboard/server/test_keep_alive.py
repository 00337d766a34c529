"""A worker that has died or is frozen is replaced: by a spare where it has one, with the code as it is then."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.server import keep_alive, pulse, standby
from dashboard.server.keep_alive import Keeper
from dashboard.server.pulse import Pulse
from dashboard.server.standby import has_changed_since
from tests.support.waiting import wait_until

PROGRAM = """
import sys
if "--standby" in sys.argv:
    print("loaded", flush=True)
    sys.stdin.readline() or sys.exit()
print("works", flush=True)
sys.stdin.read()
"""

FREEZES = """
import asyncio, os, re, signal, sys
from orchestration.temporal.alive_file import touch_until_canceled

def freeze():
    if sys.argv[1] == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    re.fullmatch("(a+)+", "a" * 99 + "!")

async def work():
    touching = asyncio.create_task(touch_until_canceled())
    signal.signal(signal.SIGTERM, lambda *_: None)
    await asyncio.sleep(1.5)
    freeze()

if "--standby" in sys.argv:
    sys.stdin.readline()
else:
    asyncio.run(work())
"""
"""A program that works for a moment, and then does nothing any more."""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Where a program writes."""
    return tmp_path / "log"


@pytest.fixture
def keeper(output: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Keeper]:
    """A keeper of a worker, which is not running."""
    monkeypatch.setenv("CANOPY_HOME", str(output.parent))
    with output.open("ab") as log:
        yield Keeper("worker", [sys.executable, "-c", PROGRAM], log)


def test_a_spare_loads_and_begins_when_it_is_taken(keeper: Keeper, output: Path) -> None:
    assert keeper._take_spare() is None
    keeper._prepare_spare()
    wait_until(lambda: output.read_text() == "loaded\n", "the spare has loaded")
    taken = keeper._take_spare()
    assert taken is not None
    wait_until(lambda: output.read_text() == "loaded\nworks\n", "it works")
    taken.wait(60)


@pytest.mark.parametrize("how", ["hold the lock", "stop"])
def test_a_worker_that_does_nothing_any_more_is_ended_hard(
    keeper: Keeper, output: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(keep_alive, "FROZEN_AFTER", 3)
    monkeypatch.setattr(keep_alive, "STOP_WITHIN", 0.5)
    keeper._command = [sys.executable, "-c", FREEZES, how]
    program = keeper._start()
    keeper._await(program)
    assert program.returncode == -signal.SIGKILL
    assert keeper._spare is not None, "the next one has been loaded meanwhile"
    keeper._drop_spare()
    if how == "hold the lock":
        assert "Current thread" in output.read_text(), "the log says where it was"


def test_only_a_worker_that_has_had_time_counts_as_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, now, waited = tmp_path / "alive", [0.0], [0.0]
    file.touch()
    monkeypatch.setattr(pulse, "_waited_by", lambda process: waited[0])
    pulse_of = Pulse(file, 1, lambda: now[0])

    def looks(times: int, *, every: float = 0.5, waits: float = 0.0) -> float:
        for _ in range(times):
            now[0] += every
            waited[0] += waits
            silence = pulse_of.silence()
        return silence

    assert looks(100) == 0, "it has not begun yet: the file is of the run before"
    os.utime(file, (1, 1))
    assert looks(1) == 0
    assert looks(20) == 10
    os.utime(file, (2, 2))
    assert looks(1) == 0, "it lives"
    assert looks(20, waits=0.5) == 0, "it waits for a processor"
    assert looks(1, every=3_600) == 1, "whoever looks stood still as well"
    assert looks(58) == 30


def test_a_spare_ends_with_a_worker_that_was_stopped(keeper: Keeper, output: Path) -> None:
    keeper._prepare_spare()
    spare = keeper._spare
    assert spare is not None
    keeper._drop_spare()
    assert spare.poll() is not None
    assert keeper._take_spare() is None


def test_a_module_that_changed_since_it_was_loaded_is_noticed() -> None:
    newest = Path(standby.__file__).stat().st_mtime
    assert has_changed_since(newest - 1)
    assert not has_changed_since(time.time() + 60)


def test_code_that_changed_meanwhile_is_loaded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = list[list[str]]()
    monkeypatch.setattr(sys, "orig_argv", ["python", "manage.py", "worker", "--grace", "1", standby.STANDBY])
    monkeypatch.setattr(os, "execv", lambda program, arguments: begun.append(arguments))
    monkeypatch.setattr(sys.stdin, "readline", lambda: "\n", raising=False)
    monkeypatch.setattr(standby, "has_changed_since", lambda moment: True)
    standby.await_work()
    assert begun == [[sys.executable, "manage.py", "worker", "--grace", "1"]]
