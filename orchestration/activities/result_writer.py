"""ResultWriter: group commit. The chunks of a worker share one thread that writes their results."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from orchestration.activities.store_calls import when_back
from orchestration.contracts.chunks import ItemResult
from orchestration.telemetry.worker_metrics import results_pending, writing_results

RESULTS_PER_WRITE = 2_000

SPACING = 0.1
"""Seconds from one write to the next, unless that one is full: small chunks that end about together share it."""


@dataclass
class _Group:
    """Results that are written together, and the promise that all their writers share."""

    done: asyncio.Future[None]
    results: list[ItemResult] = field(default_factory=list)


class ResultWriter:
    """Writes whatever results are waiting, in one go, then whatever came meanwhile.

    A slow item's result is durable at once; those of fast items share a transaction, ten times a second.
    """

    def __init__(self, write: Callable[[Sequence[ItemResult]], None]) -> None:
        self._write = write
        self._groups: deque[_Group] = deque()
        self._task: asyncio.Task[None] | None = None
        self._next_write = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="results")

    def put(self, result: ItemResult) -> asyncio.Future[None]:
        """Queue a result; the future is done when it is durable, or carries the store's error.

        While the store is away it waits.
        """
        loop = asyncio.get_running_loop()
        if not self._groups or len(self._groups[-1].results) >= RESULTS_PER_WRITE:
            self._groups.append(_Group(loop.create_future()))
        group = self._groups[-1]
        group.results.append(result)
        results_pending.inc()
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._write_all())
        return group.done

    def close(self) -> None:
        """End the thread. Nothing may be waiting."""
        self._thread.shutdown()

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._groups:
            if len(self._groups[0].results) < RESULTS_PER_WRITE:
                await asyncio.sleep(self._next_write - loop.time())
            self._next_write = loop.time() + SPACING
            group = self._groups.popleft()
            try:
                await when_back(partial(loop.run_in_executor, self._thread, self._write_timed, group.results))
            except Exception as error:
                group.done.set_exception(error)
                group.done.exception()  # a writer that was canceled meanwhile does not fetch it
            else:
                group.done.set_result(None)
            finally:
                results_pending.dec(len(group.results))

    def _write_timed(self, results: Sequence[ItemResult]) -> None:
        with writing_results():
            self._write(results)
