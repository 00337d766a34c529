"""A worker that has died once has a spare, which begins its work when it is needed, with the code as it is then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.server import standby
from dashboard.server.keep_alive import Keeper
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


def test_only_after_a_death_is_there_a_spare_and_it_begins_when_it_is_taken(keeper: Keeper, output: Path) -> None:
    keeper._prepare_spare()
    assert keeper._take_spare() is None
    keeper._deaths = 1
    keeper._prepare_spare()
    wait_until(lambda: output.read_text() == "loaded\n", "the spare has loaded")
    taken = keeper._take_spare()
    assert taken is not None
    wait_until(lambda: output.read_text() == "loaded\nworks\n", "it works")
    taken.wait(60)


def test_a_spare_ends_with_a_worker_that_was_stopped(keeper: Keeper, output: Path) -> None:
    keeper._deaths = 1
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
    monkeypatch.setattr(sys, "argv", ["manage.py", "worker", "--grace", "1", standby.STANDBY])
    monkeypatch.setattr(os, "execv", lambda program, arguments: begun.append(arguments))
    monkeypatch.setattr(sys.stdin, "readline", lambda: "\n", raising=False)
    monkeypatch.setattr(standby, "has_changed_since", lambda moment: True)
    standby.await_work()
    assert begun == [[sys.executable, "manage.py", "worker", "--grace", "1"]]
