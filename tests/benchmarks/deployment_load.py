"""A deployment under load: 200 browsers behind a proxy at 5,000 children, then a million items, and what it takes.

PostgreSQL, Redis, two webs behind a proxy with TLS, two workers. Temporal's own counter says what Temporal Cloud
would bill.
"""

from __future__ import annotations

import asyncio
import json
import re
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from temporalio.client import Client
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Origin

from tests.benchmarks.report import Figure
from tests.benchmarks.viewers import VIEWERS
from tests.faults.deployment import NEIGHBOURS, WEBS, WORKERS, Deployment
from tests.faults.onlookers import Onlookers
from tests.support.stack import Stack
from tests.support.waiting import wait_until

CHILDREN, ITEMS, COUNTED = 5_000, 1_000_000, 1_000
WITHIN = 1_800.0
ASK_EVERY = 0.5
NO_WORK = {"seconds_from": 0, "seconds_to": 0}
OPEN = ("pending", "running")
ACTIONS = re.compile(r'^action\{.*namespace="default".*\} (\S+)$', re.MULTILINE)


@dataclass
class _Browsers:
    """The websockets of all viewers, in a loop of their own: how old each change was when it came, in seconds."""

    deployment: Deployment
    cookie: str
    batch: str
    waits: list[float] = field(default_factory=list)
    lost: int = 0
    is_over: bool = False

    def run(self) -> None:
        """Watch until it is over."""
        asyncio.run(self._watch_all())

    async def _watch_all(self) -> None:
        watching = [asyncio.create_task(self._watch()) for _ in range(VIEWERS)]
        while not self.is_over:
            await asyncio.sleep(ASK_EVERY)
        for each in watching:
            each.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    async def _watch(self) -> None:
        address = f"{self.deployment.url.replace('https', 'wss')}/ws/batches/{self.batch}/?revision=0"
        headers, trust = {"Cookie": self.cookie}, self.deployment.trust()
        while True:
            try:
                async with connect(
                    address,
                    ssl=trust,
                    additional_headers=headers,
                    origin=Origin(self.deployment.url),
                    open_timeout=60,
                    max_size=None,
                    compression=None,
                ) as socket:
                    async for text in socket:
                        self._note(json.loads(text))
            except (OSError, WebSocketException):
                self.lost += 1
                await asyncio.sleep(1)

    def _note(self, message: dict[str, Any]) -> None:
        if message["type"] == "delta" and not message["more"]:
            self.waits.append(time.time() - datetime.fromisoformat(message["batch"]["changed_at"]).timestamp())


@dataclass
class _Use:
    """What the parts of a deployment used: seconds of CPU, and bytes of memory at most."""

    seconds: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def sample(self, deployment: Deployment) -> None:
        """Read the memory that each has now."""
        for name, part in deployment.parts.items():
            self.memory[name] = max(self.memory[name], part.memory)

    @property
    def total(self) -> float:
        """Seconds of CPU of all."""
        return sum(self.seconds.values())


def _cpu(deployment: Deployment) -> dict[str, float]:
    found = dict[str, float]()
    for name, part in deployment.parts.items():
        own = psutil.Process(part.pid)
        found[name] = sum(sum(each.cpu_times()[:4]) for each in [own, *own.children(recursive=True)])
    return found


@contextmanager
def _using(deployment: Deployment) -> Iterator[_Use]:
    use, before = _Use(), _cpu(deployment)
    yield use
    use.seconds = {name: max(0.0, after - before[name]) for name, after in _cpu(deployment).items()}


def _launch(client: httpx.Client, count: int, **plan: Any) -> str:
    body = {"processor": "simulate", "count": count, "parameters": NO_WORK, "plan": plan}
    answer = client.post("/api/v1/batches", json=body, timeout=600)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _follow(client: httpx.Client, deployment: Deployment, batch: str, use: _Use) -> dict[str, list[float]]:
    """Ask for a batch and its pages until it has ended; return the seconds of each answer by path."""
    took, paths = defaultdict[str, list[float]](list), ("", "/nodes?limit=100", "/errors")

    def has_ended() -> bool:
        for path in paths:
            began = time.monotonic()
            answer = client.get(f"/api/v1/batches/{batch}{path}")
            took[path].append(time.monotonic() - began)
            assert answer.status_code == 200, answer.text
            if not path:
                status = answer.json()["status"]
        use.sample(deployment)
        return status not in OPEN

    wait_until(has_ended, f"batch {batch} has ended", WITHIN)
    return took


def _actions(deployment: Deployment) -> float:
    text = httpx.get(f"http://127.0.0.1:{deployment.port('metrics')}/metrics", timeout=30).text
    return sum(map(float, ACTIONS.findall(text)))


def _megabytes(deployment: Deployment) -> tuple[float, float]:
    """Return the size of PostgreSQL's database and of Temporal's."""
    with psycopg.connect(deployment.database(), autocommit=True) as database:
        [size] = database.execute("select pg_database_size(current_database())").fetchone() or (0,)
    files = (deployment.home / "temporal").glob("temporal.sqlite3*")
    return size / 1e6, sum(each.stat().st_size for each in files) / 1e6


def _viewers(deployment: Deployment, client: httpx.Client) -> list[Figure]:
    batch = _launch(client, CHILDREN, chunk_size=1, window=50, approval=True)
    with Onlookers(deployment, list, threading.Event()).session() as person:
        cookie = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
    browsers = _Browsers(deployment, cookie, batch)
    thread = threading.Thread(target=browsers.run)
    thread.start()
    try:
        wait_until(lambda: len(browsers.waits) >= VIEWERS, "every browser has had its first message", 300)
        browsers.waits.clear()
        approved = client.post(f"/api/v1/batches/{batch}/decide", json={"approved": True})
        assert approved.status_code == 202, approved.text
        began = time.monotonic()
        with _using(deployment) as use:
            wait_until(lambda: client.get(f"/api/v1/batches/{batch}").json()["status"] == "running", "it runs")
            took = _follow(client, deployment, batch, use)
        seconds = time.monotonic() - began
    finally:
        browsers.is_over = True
        thread.join()
    answers = sorted(each for found in took.values() for each in found)
    p95 = statistics.quantiles(browsers.waits, n=20)[18]
    detail = f"{len(browsers.waits):,} messages, {browsers.lost} lost, {CHILDREN / seconds:.0f} children/s"
    webs = max(use.memory[name] for name in WEBS) / 2**20
    return [
        Figure("200 browsers, 5,000 children: commit to message, p95 in s", p95, 2, detail),
        Figure("answers of the API meanwhile, p95 in s", statistics.quantiles(answers, n=20)[18], 2),
        Figure("memory of a web process meanwhile, in MB", webs, 450, _described(use)),
    ]


def _described(use: _Use) -> str:
    return ", ".join(f"{name} {seconds:.0f} s" for name, seconds in use.seconds.items() if seconds >= 1)


def _counted(deployment: Deployment, client: httpx.Client) -> list[Figure]:
    """Count Temporal's actions for 1,000 items, as chunks and as single children."""
    figures = list[Figure]()
    for chunk_size, bound in ((100, 150), (1, 8_000)):
        before = _actions(deployment)
        batch = _launch(client, COUNTED, chunk_size=chunk_size, window=50)
        _follow(client, deployment, batch, _Use())
        name = f"Temporal actions for 1,000 items, {chunk_size} a child"
        figures.append(Figure(name, _actions(deployment) - before, bound))
    return figures


def _million(deployment: Deployment, client: httpx.Client) -> list[Figure]:
    record, temporal = _megabytes(deployment)
    began = time.monotonic()
    with _using(deployment) as use:
        batch = _launch(client, ITEMS, chunk_size=1_000, window=20, item_concurrency=100)
        _follow(client, deployment, batch, use)
    seconds = time.monotonic() - began
    assert client.get(f"/api/v1/batches/{batch}").json()["items"]["completed"] == ITEMS
    record_after, temporal_after = _megabytes(deployment)
    share, workers = ITEMS / 100_000, max(use.memory[name] for name in WORKERS) / 2**20
    neighbours = {name: f"{use.memory[name] / 2**20:.0f} MB" for name in NEIGHBOURS}
    return [
        Figure("1,000,000 items: items/s", ITEMS / seconds, 1_500, f"{seconds:.0f} s", is_floor=True),
        Figure(
            "items for each second of a core, of all processes", ITEMS / use.total, 750, _described(use), is_floor=True
        ),
        Figure("memory of a worker meanwhile, in MB", workers, 450, f"{neighbours}"),
        Figure("MB in PostgreSQL for 100,000 items", (record_after - record) / share, 62),
        Figure("MB in Temporal's database for 100,000 items", (temporal_after - temporal) / share, 15),
    ]


async def measure(_client: Client, _stack: Stack) -> list[Figure]:
    """Start a deployment of its own, and measure all."""
    return await asyncio.to_thread(_measure)


def _measure() -> list[Figure]:
    home = Path(tempfile.mkdtemp(prefix="canopy-load-"))
    with Deployment(home, has_links=False) as deployment, deployment.client() as client:
        return [*_counted(deployment, client), *_viewers(deployment, client), *_million(deployment, client)]
