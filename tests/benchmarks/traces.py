"""Traces: what they cost. The same batches with and without them, in turn, on one server."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

import psutil
from temporalio.client import Client

from tests.benchmarks.engine import run_batch
from tests.benchmarks.report import Figure
from tests.support.collector import Collector, collecting
from tests.support.ports import free_port
from tests.support.stack import Stack

ITEMS, CHUNK = 5_000, 100
ROUNDS = 5


@dataclass
class _Use:
    """What batches took: seconds from start to end, and of the worker's processor time."""

    client: Client
    stack: Stack
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Run one more batch of items that do nothing."""
        worker = psutil.Process(self.stack.worker.pid)
        before = _spent(worker)
        _batch, seconds = await run_batch(self.client, self.stack, ITEMS, CHUNK, window=ITEMS // CHUNK)
        self.seconds.append(seconds)
        self.processor.append(_spent(worker) - before)


def _spent(worker: psutil.Process) -> float:
    each = [process.cpu_times() for process in (worker, *worker.children(recursive=True))]
    return float(sum(times.user + times.system for times in each))


async def measure(client: Client, stack: Stack) -> list[Figure]:
    """Run batches on the stack, and on one in a namespace of its own that sends its spans to a collector."""
    namespace = f"traced-{free_port()}"
    stack.temporal.cli("operator", "namespace", "create", "--namespace", namespace)
    with collecting() as collector:
        own = {"TEMPORAL_NAMESPACE": namespace, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        traced = Stack(stack.temporal, own)
        traced.start()
        try:
            there = await Client.connect(stack.temporal.address, namespace=namespace)
            return await _compare(_Use(client, stack), _Use(there, traced), collector)
        finally:
            traced.stop()


async def _compare(without: _Use, traced: _Use, collector: Collector) -> list[Figure]:
    await without.run()
    await traced.run()
    for use in (without, traced):
        use.seconds.clear()
        use.processor.clear()
    for _ in range(ROUNDS):
        await without.run()
        await traced.run()
    more = statistics.median(b - a for a, b in zip(without.processor, traced.processor, strict=True)) / ITEMS
    spans = len(collector.spans)
    arrived = sum(each.name == "process simulate" for each in collector.spans) / (ITEMS * (ROUNDS + 1))
    of_span = f"{collector.size / spans:,.0f} bytes a span, {arrived:.0%} of items' spans arrived"
    return [
        _ratio("time", without.seconds, traced.seconds, of_span),
        _ratio("worker's processor time", without.processor, traced.processor, f"{more * 1000:.3f} ms more an item"),
    ]


def _ratio(what: str, without: list[float], traced: list[float], detail: str) -> Figure:
    ratio = statistics.median(b / a for a, b in zip(without, traced, strict=True))
    mine, theirs = statistics.median(traced), statistics.median(without)
    return Figure(
        f"{ITEMS:,} quick items: {what} with traces against without", ratio, 3, f"{mine:.2f} / {theirs:.2f} s; {detail}"
    )
