"""Projection figures: how many tree events a second become rows from the notify path, on SQLite and on PostgreSQL.

In a process of its own with nothing beside it, in calls of 500 events as parents make them: each child starts and
closes. And how much longer a worker's results take into SQLite while another thread of it computes, as a processor may.
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
from tests.support.servers import postgres
from tests.support.stack import ROOT, Stack

CHILDREN = 5_000
PROJECT = """
import time
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from dashboard.models import Node
from dashboard.projection.events import apply_events
from orchestration.contracts.events import EventKind, TreeEvent
from orchestration.contracts.status import Status
from orchestration.plan.choices import Execution
from orchestration.plan.plan import Plan
from tests.support.builders import make_batch, start_root
person, _ = User.objects.get_or_create(username="operator")
batch = make_batch(person, {children}, plan=Plan(window=200, execution=Execution.NO_CHILDREN))
start_root(batch)
names = list(Node.objects.filter(batch=batch, kind="child").order_by("position").values_list("workflow_id", flat=True))
now, events = timezone.now(), []
for first in range(0, len(names), 250):
    some = names[first : first + 250]
    events.append([TreeEvent(EventKind.STARTED, name, "run-" + name, now) for name in some])
    closed = now + timedelta(seconds=1)
    events[-1] += [TreeEvent(EventKind.CLOSED, name, "run-" + name, closed, Status.COMPLETED) for name in some]
began = time.perf_counter()
for some in events:
    apply_events(batch.pk, some)
print(2 * len(names) / (time.perf_counter() - began))
"""

WRITE = """
import threading, time
from django.contrib.auth.models import User
from dashboard.chunk_store.store import DjangoChunkStore
from orchestration.contracts.chunks import ItemResult
from orchestration.plan.plan import Plan
from tests.support.builders import make_batch, start_root
person, _ = User.objects.get_or_create(username="operator")
batch = make_batch(person, {items}, plan=Plan(chunk_size={items}))
start_root(batch)
is_done = False
def compute():
    while not is_done:
        sum(number * number for number in range(1_000))
def write(first):
    indices = range(first, first + {items} // 2)
    results = [ItemResult(batch.pk, 0, "run", index, 1, 0.5, {{"n": index}}) for index in indices]
    began = time.perf_counter()
    DjangoChunkStore().write_results(results)
    return time.perf_counter() - began
alone = write(0)
computing = threading.Thread(target=compute)
computing.start()
beside = write({items} // 2)
is_done = True
computing.join()
print(beside / alone)
"""
RESULTS = 2_000


def _last_number(home: Path, environment: dict[str, str], script: str) -> float:
    """Return what a script prints last, in a process with a database of its own."""
    env = {**os.environ, "CANOPY_HOME": str(home), **environment}
    for arguments in (
        ["migrate", "--verbosity", "0"],
        ["shell", "--verbosity", "0", "--command", script],
    ):
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


def _measured() -> tuple[float, float, float]:
    home = Path(tempfile.mkdtemp(prefix="canopy-projecting-"))
    home.chmod(0o755)
    project = PROJECT.format(children=CHILDREN)
    sqlite = _last_number(home / "sqlite", {}, project)
    beside = _last_number(home / "beside", {}, WRITE.format(items=2 * RESULTS))
    with postgres(home) as url:
        return sqlite, _last_number(home / "with-postgresql", {"DATABASE_URL": url}, project), beside


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Project the same into both databases, and write the same with and without a thread that computes."""
    sqlite, postgresql, beside = await asyncio.to_thread(_measured)
    return [
        Figure("events/s into SQLite", sqlite, 3_000, "calls of 500", is_floor=True),
        Figure("events/s into PostgreSQL", postgresql, 6_000, "calls of 500", is_floor=True),
        Figure("results beside a thread that computes: time against alone", beside, 10, f"{RESULTS:,} into SQLite"),
    ]
