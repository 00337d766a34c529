"""The wheel: in a virtual environment outside of any checkout it has all that a person needs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.http_browser import HttpBrowser
from tests.support.running import Run
from tests.support.second_environment import make_installation
from tests.support.stack import http, temporal_binary
from tests.support.waiting import wait_until

BATCH = {"processor": "simulate", "count": 20, "parameters": {"seconds_from": 0, "seconds_to": 0}}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a virtual environment that has the wheel, and nothing of the checkout."""
    folder: Path = tmp_path_factory.mktemp("installed")
    make_installation(folder / "venv")
    return folder


def environment(machine: Path) -> dict[str, str]:
    """Return what a person's shell has there."""
    path = os.pathsep.join((str(Path(temporal_binary()).parent), os.environ["PATH"]))
    return {"PATH": path, "HOME": str(machine), "PYTHONPATH": "", "XDG_DATA_HOME": ""}


@pytest.fixture
def run(machine: Path) -> Iterator[Run]:
    """`canopy run`, which has said where it is."""
    running = Run(machine / "home", [str(machine / "venv/bin/canopy"), "run"], machine, environment(machine))
    try:
        running.start()
        yield running
    finally:
        running.process.stop()


def test_a_batch_completes_and_pages_translations_static_files_and_docs_are_there(run: Run) -> None:
    launched = run.api("POST", "/batches", BATCH)
    assert launched.status_code == 201, launched.text
    batch = launched.json()["id"]
    wait_until(
        lambda: run.api("GET", f"/batches/{batch}").json()["status"] == "completed",
        lambda: f"the batch completes: {run.api('GET', f'/batches/{batch}').json()}",
        180,
    )
    german = {"Accept-Language": "de"}
    page = http.get(f"{run.url}/login/", headers=german).text
    assert "Anmelden" in page
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert addresses
    browser = HttpBrowser(run, run.login)
    for address in (*addresses, "/", f"/batches/{batch}/", "/help/", "/patterns/", "/docs/", "/api/v1/docs"):
        assert browser.get(address).status_code == 200, address


def test_the_command_finds_its_data_wherever_it_is_started(machine: Path) -> None:
    said = []
    for folder in ("here", "there"):
        (machine / folder).mkdir()
        command = [str(machine / "venv/bin/canopy"), "migrate", "--check"]
        done = subprocess.run(
            command,
            cwd=machine / folder,
            env=environment(machine),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        said.append(done.stdout)
        assert list((machine / folder).iterdir()) == []
    assert said[0] == said[1]
    assert "dashboard.0001_initial" in said[0]
    assert (machine / ".local/share/canopy/secret-key").exists()
