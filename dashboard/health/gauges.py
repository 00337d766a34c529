"""Metrics that are read when somebody asks: of open batches from the database, and of its connections.

Batches have their children's counts in their own rows, so open batches are read, and never their children or items.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connections
from django.db.models import Count, Q, Sum
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from dashboard.health.checks import in_thread_of_its_own
from dashboard.models import OPEN_BATCH_STATUSES, Batch, BatchStatus, NodeStatus
from dashboard.queries.home import MOVING, STUCK_AFTER
from orchestration.telemetry.checks import WITHIN
from orchestration.telemetry.registry import REGISTRY

READ_EVERY = 5.0
"""Seconds for which what was read is shown again."""

FORGOTTEN_AFTER = 60.0
"""Seconds after which what was read last is not shown any more, while the database does not answer."""


@dataclass
class _Read:
    """What was read of open batches, and when."""

    at: float
    batches: dict[str, int] = field(default_factory=dict)
    children: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    oldest: float = 0.0


class OpenBatches(Collector):
    """Open batches and their children by status, and batches that wait for somebody."""

    def __init__(self) -> None:
        self._read: _Read | None = None
        self._reading: asyncio.Task[None] | None = None
        self._in_thread = in_thread_of_its_own(self._refresh, "open-batches")

    async def refresh(self) -> None:
        """Read again what is older than READ_EVERY, for no longer than WITHIN seconds. Raises nothing."""
        if self._read is not None and time.monotonic() - self._read.at < READ_EVERY:
            return
        if self._reading is None or self._reading.done() or self._reading.get_loop() is not asyncio.get_running_loop():
            self._reading = asyncio.create_task(self._in_thread())
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait({self._reading}, timeout=WITHIN)

    def _refresh(self) -> None:
        now, is_open = timezone.now(), Batch.objects.filter(status__in=OPEN_BATCH_STATUSES).order_by()
        batches = dict.fromkeys(OPEN_BATCH_STATUSES, 0)
        children = dict.fromkeys((status.value for status in NodeStatus), 0)
        rows = is_open.values_list("status").annotate(Count("pk"), *(Sum(f"children_{name}") for name in children))
        for status, number, *of_status in rows:
            batches[BatchStatus(status)] = number
            for name, of_name in zip(children, of_status, strict=True):
                children[name] += of_name or 0
        kinds = {
            "held": Q(status=BatchStatus.HELD),
            "stuck": Q(status__in=MOVING, changed_at__lt=now - STUCK_AFTER),
            "blocked": Q(blocked_since__isnull=False),
            "unattended": Q(unattended=True),
            "not_started": ~Q(start_error=""),
        }
        waiting = is_open.aggregate(**{kind: Count("pk", filter=where) for kind, where in kinds.items()})
        oldest = is_open.filter(status__in=MOVING).order_by("changed_at").values_list("changed_at", flat=True).first()
        age = max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0
        self._read = _Read(
            time.monotonic(), {status.value: number for status, number in batches.items()}, children, waiting, age
        )

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return what was read last."""
        read = self._read
        if read is None or time.monotonic() - read.at > FORGOTTEN_AFTER:
            read = _Read(0.0)
        yield _family("canopy_batches_open", "Open batches by status.", "status", read.batches)
        yield _family("canopy_children", "Children of open batches by status.", "status", read.children)
        about = (
            "Open batches that wait for somebody: held, stuck (nothing has changed for 5 minutes), blocked (a workflow "
        )
        about += "task fails again and again), unattended (no worker serves its queue), not_started."
        yield _family("canopy_batches_waiting", about, "reason", read.waiting)
        since = GaugeMetricFamily(
            "canopy_batches_oldest_change_seconds",
            "Seconds since the last change of the running batch that has changed least lately; 0 where none runs.",
        )
        if read.at:
            since.add_metric([], read.oldest)
        yield since


def _family(name: str, about: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


class DatabasePool(Collector):
    """Connections of this process to PostgreSQL; no values with SQLite, which has no pool."""

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """Return what the pool says of itself."""
        stats = _pool_stats()
        used = GaugeMetricFamily(
            "canopy_database_connections",
            "Connections of the pool by state: idle, or used by a request or a background task.",
            labels=["state"],
        )
        most = GaugeMetricFamily("canopy_database_connections_max", "The most connections of the pool (DATABASE_POOL).")
        waiting = GaugeMetricFamily("canopy_database_waiting", "Threads that wait for a connection of the pool.")
        errors = CounterMetricFamily(
            "canopy_database_pool_timeouts", "Requests for a connection that got none in time, or none that works."
        )
        if stats is not None:
            idle = stats.get("pool_available", 0)
            used.add_metric(["idle"], idle)
            used.add_metric(["used"], stats.get("pool_size", 0) - idle)
            most.add_metric([], stats.get("pool_max", 0))
            waiting.add_metric([], stats.get("requests_waiting", 0))
            errors.add_metric([], stats.get("requests_errors", 0))
        return used, most, waiting, errors


def _pool_stats() -> dict[str, int] | None:
    """Return what the pool counts, where there is one; none is made for this."""
    pools: dict[str, Any] = getattr(type(connections["default"]), "_connection_pools", {})
    pool = pools.get("default")
    return pool.get_stats() if pool is not None else None


open_batches, database_pool = OpenBatches(), DatabasePool()
REGISTRY.register(open_batches)
REGISTRY.register(database_pool)
