"""`make run`'s command: it starts everything, brings back what dies, keeps what was done, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.running import Run
from tests.support.stack import ROOT, free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SLOW = {"processor": "simulate", "parameters": {"seconds_from": 0.5, "seconds_to": 0.5}}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run that is stopped whatever the test did."""
    run = Run(tmp_path / "home")
    yield run
    run.process.stop()


def test_everything_comes_back_and_nothing_stays_behind(run: Run) -> None:
    run.start()
    login = run.home / "first-login.json"
    assert set(json.loads(login.read_text())) == {"username", "password", "token"}
    assert stat.S_IMODE(login.stat().st_mode) == 0o600
    assert run.process.output.count("Canopy is at") == 1
    batch = run.api("POST", "/batches", {**SLOW, "count": 60, "plan": {"window": 3}}).json()["id"]
    for part in ("worker", "web", "temporal"):
        before = run.pid(part)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda part=part, before=before: run.pid(part) not in (0, before), f"{part} is back")  # type: ignore[misc]
        wait_until(lambda: run.health == 200, f"all is well after {part} died", deadline=90)
    family = psutil.Process(run.process.pid).children(recursive=True)
    os.kill(run.process.pid, signal.SIGINT)
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []

    again = Run(run.home)
    again.start()
    try:

        def completed() -> bool:
            return bool(again.api("GET", f"/batches/{batch}").json()["status"] == "completed")

        wait_until(completed, "the batch that was running goes on to its end", deadline=120)
    finally:
        again.process.stop()


def test_work_is_handed_back_before_temporal_stops_also_when_make_alone_is_interrupted(tmp_path: Path) -> None:
    run = Run(tmp_path / "home", ["make", "run"])
    run.start()
    try:
        batch = run.api("POST", "/batches", {**SLOW, "count": 200, "plan": {"chunk_size": 50, "window": 4}}).json()[
            "id"
        ]
        wait_until(lambda: run.api("GET", f"/batches/{batch}").json()["items"]["completed"], "it is at work")
        family = psutil.Process(run.process.pid).children(recursive=True)
        os.kill(run.process.pid, signal.SIGINT)
        _, alive = psutil.wait_procs(family, timeout=60)
    finally:
        run.process.stop()
    assert alive == []
    said = (run.home / "logs" / "worker.log").read_text()
    assert "Beginning worker shutdown" in said
    assert "Connection refused" not in said.partition("Beginning worker shutdown")[2]


def test_a_second_run_in_the_same_home_is_refused(run: Run) -> None:
    run.start()
    second = _fail(run.home, free_port())
    assert f"Canopy runs in {run.home} already (process {run.process.pid})" in second
    assert run.health == 200


def test_a_port_in_use_is_a_clear_message(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port} of 127.0.0.1 cannot be used: Address already in use." in _fail(tmp_path / "other", port)


@pytest.mark.parametrize(("port", "message"), [("http", "not a number"), ("70000", "cannot be used")])
def test_a_port_that_is_none_is_a_clear_message(tmp_path: Path, port: str, message: str) -> None:
    assert message in _fail(tmp_path / "other", port)


def test_a_database_that_is_away_is_a_clear_message(tmp_path: Path) -> None:
    url = f"postgres://canopy@127.0.0.1:{free_port()}/canopy"
    assert "The database cannot be used" in _fail(tmp_path / "other", free_port(), DATABASE_URL=url)


def _fail(home: Path, port: int | str, **more: str) -> str:
    """Run what cannot run, and return its complaint: a message for people, not a traceback."""
    env = {**os.environ, "CANOPY_HOME": str(home), "PORT": str(port), **more}
    command = [sys.executable, "manage.py", "run"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr
