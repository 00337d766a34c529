"""A home with everything that a stack needs before it starts, made once for all processes of the tests."""

from __future__ import annotations

import fcntl
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from django.core.management import call_command
from django.db import connection

from tests.support.environment import ROOT as ROOT
from tests.support.environment import SHARED

VIEWER = {"username": "vera", "password": "vera-may-only-look"}
"""A person of every stack who may only look."""

PREPARE = (
    "shell",
    "--verbosity=0",
    f"""--command=
from django.contrib.auth.models import Group, User
from dashboard.server.static_files import collect_static
from django.core.management import call_command
call_command("migrate", verbosity=0)
collect_static()
call_command("first_login")
User.objects.create_user(**{VIEWER}).groups.add(Group.objects.get_or_create(name="viewer")[0])
""",
)
"""The management command that makes everything a stack needs before it starts."""


def manage(env: Mapping[str, str], *arguments: str) -> str:
    """Run a management command and return what it says."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def prepared_home() -> Path:
    """Return a home with a database, static files and people, which stacks copy: made by whoever needs it first."""
    home = SHARED / "prepared"
    make_once("prepared", lambda: manage(os.environ | {"CANOPY_HOME": str(home)}, *PREPARE))
    return home


@functools.cache
def migrated_database() -> Path:
    """Return an empty SQLite database with all tables, for copies: made by whoever needs it first."""
    path = SHARED / "migrated.sqlite3"
    make_once("migrated", lambda: _migrate(path))
    return path


def make_once(name: str, make: Callable[[], object]) -> None:
    """Make what all processes of the tests share, unless another one has made it."""
    made = SHARED / f"is-{name}"
    with (SHARED / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make()
            made.touch()


def _migrate(path: Path) -> None:
    """Migrate a database other than this process's own, in this process: it has loaded everything."""
    own = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = str(path)
    try:
        call_command("migrate", verbosity=0)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = own
