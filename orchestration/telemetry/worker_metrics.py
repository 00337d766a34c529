"""Metrics of a worker process: its items, chunks, results and threads.

Labels are the names of processors and of the task queues that the process serves: as many as code and configuration
have, never a batch, a key or an error's text.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from orchestration.telemetry.registry import LATENCY, REGISTRY, WORK

OF_ITEMS = ("processor", "queue")

items_started = Counter("canopy_items_started", "Items begun, each attempt of one once.", OF_ITEMS, registry=REGISTRY)
items_finished = Counter(
    "canopy_items_finished",
    "Items with a result: completed, or failed after their last attempt.",
    (*OF_ITEMS, "outcome"),
    registry=REGISTRY,
)
item_retries = Counter(
    "canopy_item_retries", "Attempts of items that failed and were followed by another.", OF_ITEMS, registry=REGISTRY
)
item_seconds = Histogram(
    "canopy_item_seconds", "Seconds that the last attempt of an item took.", OF_ITEMS, buckets=WORK, registry=REGISTRY
)
items_in_flight = Gauge("canopy_items_in_flight", "Items that are being processed.", OF_ITEMS, registry=REGISTRY)
step_attempts = Counter(
    "canopy_step_attempts",
    "Attempts of steps of flows and sagas that have ended; Temporal tries a failed one again as its policy says.",
    (*OF_ITEMS, "outcome"),
    registry=REGISTRY,
)
results_pending = Gauge(
    "canopy_results_pending", "Results of items that wait to be written: the result writer's queue.", registry=REGISTRY
)
results_write_seconds = Histogram(
    "canopy_results_write_seconds",
    "Seconds that one write of results took, of all items that were ready.",
    buckets=LATENCY,
    registry=REGISTRY,
)
store_retries = Counter(
    "canopy_store_retries", "Calls of the store that were made again because it was away.", registry=REGISTRY
)
loop_silence = Gauge(
    "canopy_event_loop_silence_seconds",
    "Seconds since the event loop of the process ought to have run; 0 while it does.",
    registry=REGISTRY,
)


class ItemMetrics:
    """The metrics of one processor's items on one queue, looked up once for a chunk."""

    def __init__(self, processor: str, queue: str) -> None:
        labels = (processor, queue)
        self._started, self._in_flight = items_started.labels(*labels), items_in_flight.labels(*labels)
        self._completed = items_finished.labels(*labels, "completed")
        self._failed = items_finished.labels(*labels, "failed")
        self._retries, self._seconds = item_retries.labels(*labels), item_seconds.labels(*labels)

    def began(self, number: int, attempt: int) -> None:
        """Count an attempt of items that begin together."""
        self._started.inc(number)
        if attempt > 1:
            self._retries.inc(number)
        self._in_flight.inc(number)

    def ended(self, number: int) -> None:
        """Count them as no longer at work."""
        self._in_flight.dec(number)

    def finished(self, seconds: float, *, is_completed: bool) -> None:
        """Count an item that has a result."""
        (self._completed if is_completed else self._failed).inc()
        self._seconds.observe(seconds)


@contextmanager
def writing_results() -> Iterator[None]:
    """Time one write of results."""
    began = time.monotonic()
    try:
        yield
    finally:
        results_write_seconds.observe(time.monotonic() - began)


class StuckThreads(Collector):
    """How many threads are stuck by processor, as a function tells when somebody asks."""

    def __init__(self) -> None:
        self._count: Callable[[], Mapping[str, int]] = dict
        self._lock = threading.Lock()

    def count_with(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Set the function."""
        with self._lock:
            self._count = count

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the number by processor."""
        family = GaugeMetricFamily(
            "canopy_threads_stuck",
            "Threads whose item has timed out or was canceled, and whose function has not come back.",
            labels=["processor"],
        )
        for processor, number in self._count().items():
            family.add_metric([processor], number)
        yield family


stuck_threads = StuckThreads()
REGISTRY.register(stuck_threads)
