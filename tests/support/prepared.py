"""A home with everything that a stack needs before it starts, made once for all processes of the tests."""

from __future__ import annotations

import fcntl
import functools
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.environment import SHARED

ROOT = Path(__file__).resolve().parent.parent.parent

VIEWER = {"username": "vera", "password": "vera-may-only-look"}
"""A person of every stack who may only look."""

PREPARE = (
    "shell",
    "--verbosity=0",
    f"""--command=
from django.contrib.auth.models import Group, User
from dashboard.management.commands.run import _collect_static
from django.core.management import call_command
call_command("migrate", verbosity=0)
_collect_static()
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
    home, made = SHARED / "prepared", SHARED / "is-prepared"
    with (SHARED / "preparing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            manage(os.environ | {"CANOPY_HOME": str(home)}, *PREPARE)
            made.touch()
    return home
