"""Megabytes of 100,000 items in SQLite, PostgreSQL and Temporal's database, and how long deletion holds a lock."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from temporalio.client import Client

from tests.benchmarks.report import Figure
from tests.support.servers import postgres
from tests.support.stack import ROOT, Stack

ITEMS = 100_000
CHUNK = 500
SINGLE = 2_000
"""Items that are children of their own on the real Temporal: what 100,000 weigh follows from them."""

AT_ONCE = {"seconds_from": 0, "seconds_to": 0}
MB = 1e6


def _run(home: Path, environment: dict[str, str], items: int, chunk_size: int) -> dict[str, float]:
    """Weigh and delete a batch in a process with a database of its own."""
    env = {**os.environ, "CANOPY_HOME": str(home), **environment}
    code = f"from tests.benchmarks.weighing import *; print(weight_and_prune({items}, {chunk_size}))"
    for arguments in (("migrate", "--verbosity", "0"), ("shell", "--verbosity", "0", "--command", code)):
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=3_000)
        assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout.split()[-1])
    return found


def _in_databases() -> list[Figure]:
    home = Path(tempfile.mkdtemp(prefix="canopy-weight-"))
    home.chmod(0o755)
    figures = list[Figure]()
    with postgres(home) as url:
        for database, given in (("SQLite", {}), ("PostgreSQL", {"DATABASE_URL": url})):
            for words, size in ((f"chunks of {CHUNK}", CHUNK), ("single children", 1)):
                found = _run(home / f"{database}-{size}", given, ITEMS, size)
                figures += _figures(f"{database}, {words}", found)
    return figures


def _figures(where: str, found: dict[str, float]) -> list[Figure]:
    detail = f"{found['rows']:,.0f} rows, estimated {found['estimated'] / MB:.0f} MB, left {found['left'] / MB:.1f} MB"
    return [
        Figure(f"MB of {ITEMS:,} items in {where}", found["bytes"] / MB, 250, detail),
        Figure(
            f"longest lock in s of their deletion in {where}", found["longest"], 1, f"{found['seconds']:.0f} s in all"
        ),
    ]


async def _in_temporal(stack: Stack, words: str, count: int, chunk_size: int) -> Figure:
    before = _temporal_bytes(stack)
    plan = {"chunk_size": chunk_size, "window": 100}
    batch = stack.launch(processor="simulate", parameters=AT_ONCE, count=count, plan=plan)
    await asyncio.to_thread(stack.wait_for, batch, "completed", deadline=1_800)
    grown = (_temporal_bytes(stack) - before) * ITEMS / count / MB
    return Figure(f"MB of {ITEMS:,} items in Temporal's SQLite, {words}", grown, 4_000, f"measured with {count:,}")


def _temporal_bytes(stack: Stack) -> int:
    """Return the size of Temporal's database with what is not in the file yet."""
    return sum(path.stat().st_size for path in stack.temporal.home.glob("temporal.sqlite3*"))


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Weigh and delete batches in both databases, and launch some on the real Temporal."""
    figures = await asyncio.to_thread(_in_databases)
    figures.append(await _in_temporal(stack, f"chunks of {CHUNK}", ITEMS, CHUNK))
    figures.append(await _in_temporal(stack, "single children", SINGLE, 1))
    return figures
