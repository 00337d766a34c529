"""How many tree events a second become rows, on SQLite and on PostgreSQL, and what a computing thread costs writes.

Events are written in a process of its own with nothing beside it, in calls of 500 events as parents make them: each
child starts and closes. The other figure: how much longer a worker takes to write results into SQLite while another
thread of it computes, as a processor may.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from temporalio.client import Client

from tests.benchmarks.report import Figure
from tests.benchmarks.shell import shell_command
from tests.support.servers import postgres
from tests.support.stack import ROOT, Stack

CHILDREN = 5_000
RESULTS = 2_000


def _run(home: Path, environment: dict[str, str], call: str) -> float:
    """Return what a call of `in_django` returns, in a process with a database of its own."""
    env = {**os.environ, "CANOPY_HOME": str(home), **environment}
    for arguments in (("migrate", "--verbosity", "0"), shell_command(call)):
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


def _measured() -> tuple[float, float, float]:
    home = Path(tempfile.mkdtemp(prefix="canopy-projection-"))
    home.chmod(0o755)
    project = f"events_projected_per_second({CHILDREN})"
    sqlite = _run(home / "sqlite", {}, project)
    beside = _run(home / "beside", {}, f"slowdown_of_writes_beside_a_computing_thread({RESULTS})")
    with postgres(home) as url:
        return sqlite, _run(home / "with-postgresql", {"DATABASE_URL": url}, project), beside


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Project the same into both databases, and write the same with and without a thread that computes."""
    sqlite, postgresql, beside = await asyncio.to_thread(_measured)
    return [
        Figure("events/s into SQLite", sqlite, 3_000, "calls of 500", is_floor=True),
        Figure("events/s into PostgreSQL", postgresql, 6_000, "calls of 500", is_floor=True),
        Figure("results beside a thread that computes: time against alone", beside, 10, f"{RESULTS:,} into SQLite"),
    ]
