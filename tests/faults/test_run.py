"""The command of `make run`: it starts all processes, restarts those that die, loses no work and leaves none behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from dashboard.environment import SHARED
from tests.support.prepared import prepared_home
from tests.support.running import Run
from tests.support.stack import ROOT, free_port, http
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

SLOW = {"processor": "simulate", "parameters": {"seconds_from": 0.5, "seconds_to": 0.5}}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run that is stopped whatever the test did."""
    run = Run(tmp_path / "home")
    yield run
    run.process.stop()


def test_killed_processes_come_back_none_is_left_at_the_end_and_the_next_run_goes_on(run: Run) -> None:
    run.start()
    login = run.home / "first-login.json"
    assert set(json.loads(login.read_text())) == {"username", "password", "token"}
    assert stat.S_IMODE(login.stat().st_mode) == 0o600
    password = json.loads(login.read_text())["password"]
    assert password not in run.process.output + "".join(log.read_text() for log in (run.home / "logs").iterdir())
    assert _left_open(run.home) == []
    assert run.process.output.count("Canopy is at") == 1
    second = _fail(run.home, free_port())
    assert f"Canopy is already running in {run.home} (process {run.process.pid})" in second
    wait_until(lambda: run.health == 200, "the first one goes on")
    _check_finds_what_it_started(run)
    batch = run.api("POST", "/batches", {**SLOW, "count": 60, "plan": {"window": 3}}).json()["id"]
    for part in ("worker", "web", "temporal"):
        before = run.pid(part)
        os.kill(before, signal.SIGKILL)
        wait_until(lambda part=part, before=before: run.pid(part) not in (0, before), f"{part} is back")  # type: ignore[misc]
        wait_until(lambda: run.health == 200, f"all is well after {part} died")
    family = psutil.Process(run.process.pid).children(recursive=True)
    for process in (run.process.pid, *(each.pid for each in psutil.Process(run.process.pid).children())):
        os.kill(process, signal.SIGHUP)  # as when its terminal is closed
    _, alive = psutil.wait_procs(family, timeout=120)
    assert alive == []
    assert run.process.ended_with() == 0

    logs = {log: log.stat().st_size for log in (run.home / "logs").iterdir()}
    again = Run(run.home, ["make", "run"], environment={"LOG_FORMAT": "json"})
    again.start()
    try:
        _completes(again, batch)
        _returns_work_before_temporal_stops(again)
    finally:
        again.process.stop()
    lines = [line for log, before in logs.items() for line in log.read_bytes()[before:].splitlines()]
    assert {type(json.loads(line)) for line in lines} == {dict}


def _check_finds_what_it_started(run: Run) -> None:
    """Look at it with `canopy check`, which nobody has told where Temporal is."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("TEMPORAL_")}
    checked = subprocess.run(
        [sys.executable, "-m", "dashboard.cli", "check"],
        env={**env, "CANOPY_HOME": str(run.home)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert "canopy-schedules: 1 polling" in checked.stdout, checked
    assert not re.search(r"^fail", checked.stdout, re.MULTILINE), checked


def _completes(run: Run, batch: str) -> None:
    """Wait until a batch that was running when its processes ended goes on to its end."""

    def is_completed() -> bool:
        return bool(run.api("GET", f"/batches/{batch}").json()["status"] == "completed")

    wait_until(is_completed, "the batch goes on to its end")


def _returns_work_before_temporal_stops(run: Run) -> None:
    """Interrupt make alone, which a terminal does not, while a batch is at work."""
    log = run.home / "logs" / "worker.log"
    before = len(log.read_text())
    batch = run.api("POST", "/batches", {**SLOW, "count": 200, "plan": {"chunk_size": 50, "window": 4}}).json()["id"]
    wait_until(lambda: run.api("GET", f"/batches/{batch}").json()["items"]["completed"], "it is at work")
    family = psutil.Process(run.process.pid).children(recursive=True)
    os.kill(run.process.pid, signal.SIGINT)
    _, alive = psutil.wait_procs(family, timeout=120)
    assert alive == []
    said = log.read_text()[before:]
    assert "Beginning worker shutdown" in said
    assert "Connection refused" not in said.partition("Beginning worker shutdown")[2]


OWN_PROCESSOR = """
from orchestration.processors.registry import processor

@processor()
def greet(name: str) -> str:
    '''{summary}'''
    return "{greeting} " + name
"""


def test_a_changed_processor_takes_effect_in_web_and_worker_and_all_processes_end(tmp_path: Path) -> None:
    module = tmp_path / "own" / "greetings.py"
    module.parent.mkdir()
    module.write_text(OWN_PROCESSOR.format(summary="Greets.", greeting="Hello"))
    environment = {"CANOPY_DEBUG": "1", "CANOPY_PROCESSORS": "greetings", "PYTHONPATH": str(module.parent)}
    shutil.copytree(prepared_home(), tmp_path / "home", ignore=shutil.ignore_patterns("static"))
    run = Run(tmp_path / "home", [sys.executable, "manage.py", "run", "--reload"], environment=environment)
    run.start()
    try:

        def summary() -> str:
            known: list[dict[str, str]] = run.api("GET", "/processors").json()
            return next(each["summary"] for each in known if each["name"] == "greet")

        def result() -> str:
            """Launch a batch of one item and return its result."""
            batch = run.api("POST", "/batches", {"processor": "greet", "items": ["Ada"]}).json()["id"]
            wait_until(
                lambda: run.api("GET", f"/batches/{batch}").json()["status"] == "completed", "it is done", deadline=60
            )
            found: str = run.api("GET", f"/batches/{batch}/items").json()["results"][0]["result"]
            return found

        assert (summary(), result()) == ("Greets.", "Hello Ada")
        newest = [max(run.program(part).children(), key=psutil.Process.create_time) for part in ("web", "worker")]
        web, worker = (each.pid for each in newest)
        module.write_text(OWN_PROCESSOR.format(summary="Greets in Bavarian.", greeting="Servus"))
        wait_until(lambda: not {web, worker} & set(psutil.pids()), "both have ended")
        wait_until(lambda: run.health == 200, "both are back")
        assert (summary(), result()) == ("Greets in Bavarian.", "Servus Ada")
        assert http.get(f"{run.url}/static/css/base.css").status_code == 200
        assert not (run.home / "static").exists()
        family = psutil.Process(run.process.pid).children(recursive=True)
        os.kill(run.process.pid, signal.SIGINT)
        _, alive = psutil.wait_procs(family, timeout=120)
    finally:
        run.process.stop()
    assert alive == []


RENDERED_TWICE = """
from pathlib import Path
from sys import argv
import django
from django.conf import settings
from django.template.loader import render_to_string

settings.TEMPLATES[0]["DIRS"].append(argv[1])
django.setup()
for text in ("before", "after"):
    Path(argv[1], "edited.html").write_text(text)
    print(render_to_string("edited.html"))
"""


@pytest.mark.parametrize(("debug", "rendered"), [("1", ["before", "after"]), ("0", ["before", "before"])])
def test_a_changed_template_takes_effect_with_debug(tmp_path: Path, debug: str, rendered: list[str]) -> None:
    env = {
        **os.environ,
        "CANOPY_HOME": str(tmp_path),
        "CANOPY_DEBUG": debug,
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
    }
    command = [sys.executable, "-c", RENDERED_TWICE, str(tmp_path)]
    assert subprocess.check_output(command, cwd=ROOT, env=env, text=True, timeout=300).split() == rendered


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> pytest.MonkeyPatch:
    """Have the command run in this process, in a home of its own; return what sets its environment."""
    settings.HOME = tmp_path
    monkeypatch.delenv("MAKELEVEL", raising=False)
    return monkeypatch


def test_a_port_in_use_is_a_clear_message(here: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        here.setenv("PORT", str(port))
        message = f"Port {port} of 127.0.0.1 cannot be used: Address already in use."
        with pytest.raises(CommandError, match=re.escape(message)):
            call_command("run")


@pytest.mark.parametrize(("port", "message"), [("http", "not a number"), ("70000", "cannot be used")])
def test_an_invalid_port_is_a_clear_message(here: pytest.MonkeyPatch, port: str, message: str) -> None:
    here.setenv("PORT", port)
    with pytest.raises(CommandError, match=message):
        call_command("run")


def test_an_unreachable_database_is_a_clear_message(tmp_path: Path) -> None:
    url = f"postgres://canopy@127.0.0.1:{free_port()}/canopy"
    assert "The database cannot be used" in _fail(tmp_path / "other", free_port(), DATABASE_URL=url)


def _left_open(home: Path) -> list[Path]:
    """Return what others have any right to; files of databases come and go."""
    found = list[Path]()
    for path in (home, *home.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            found += [path] if path.lstat().st_mode & SHARED else []
    return found


def _fail(home: Path, port: int | str, **more: str) -> str:
    """Run what cannot run, and return its complaint: a message for people, not a traceback."""
    env = {**os.environ, "CANOPY_HOME": str(home), "PORT": str(port), **more}
    command = [sys.executable, "manage.py", "run"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr
