"""The last release, checked out from this repository's history, with its processes on the environment of a stack."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.environment import ROOT
from tests.support.stack import Process, Stack

LAST_RELEASE = ("0.1.0", "6e0958a8223b785256bfd868a852c7572aed909d")
"""Version and commit: tags do not always travel with a clone. Each release replaces it by the one before it."""

PREPARE = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("first_login")
"""


def check_out(folder: Path) -> Path:
    """Unpack the last release into a folder, and return that."""
    folder.mkdir()
    archive = subprocess.Popen(["git", "archive", LAST_RELEASE[1]], cwd=ROOT, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", str(folder)], stdin=archive.stdout, check=True, timeout=60)
    assert archive.wait() == 0, f"The history has no commit {LAST_RELEASE[1]}: clone it whole."
    return folder


class ReleasedProcesses:
    """A worker and a web process of a release, beside those of a stack, which are of this checkout."""

    def __init__(self, release: Path, stack: Stack) -> None:
        self._release, self._env = release, stack.env
        self.worker = Process(stack.worker.command, stack.home / "released-worker.log", stack.env, release)
        self.web = Process(stack.web.command, stack.home / "released-web.log", stack.env, release)

    def prepare(self) -> None:
        """Make the database, and the first login, as the release does."""
        run_in(self._release, self._env, "manage.py", "shell", "--verbosity=0", f"--command={PREPARE}")

    def start(self) -> None:
        """Start both."""
        self.worker.start()
        self.web.start()

    def stop(self) -> None:
        """Stop both, the one that people see first."""
        self.web.stop()
        self.worker.stop()


def run_in(folder: Path, env: Mapping[str, str], *arguments: str) -> str:
    """Run Python in a checkout, and return what it says."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
