"""Inline chunks: those that this worker process has started in a workflow task, until an activity claims them.

A chunk that ends within a second needs no activity of the server's. One that does not keeps running: `process_chunk`
claims it in the same process, because Temporal gives an activity to the worker that scheduled it where that has room.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from dataclasses import dataclass

from orchestration.activities.chunk_run import ChunkRun
from orchestration.contracts.chunks import ChunkResult, InlineChunk

INLINE_LIMIT = 1.0
"""Seconds that a chunk may take within a workflow task: a tenth of the task's timeout."""

CLAIM_TIMEOUT = 10.0
"""Seconds after which a chunk that no activity claims is given up: another process runs it, or its child has ended."""

MAX_RUNNING = 100
"""Chunks of this process, inline or in activities, beyond which none starts inline: its activity would find no slot."""

MAX_SKIPPED = 64
BATCHES_TRACKED = 1_000


@dataclass(frozen=True)
class StartedChunk:
    """A run over a chunk, and its task."""

    run: ChunkRun
    task: asyncio.Task[ChunkResult]

    @classmethod
    def of(cls, run: ChunkRun) -> StartedChunk:
        """Start a run."""
        task = asyncio.create_task(run.process())
        task.add_done_callback(_retrieve)
        return cls(run, task)


class InlineChunks:
    """The chunks that this process has started inline, by run of the child."""

    def __init__(self) -> None:
        self.in_activities = 0
        self._backoff = InlineBackoff()
        self._started: dict[str, StartedChunk] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def unclaimed(self) -> int:
        """How many have started and were not claimed."""
        return len(self._started)

    def may_start(self, batch_id: str) -> bool:
        """Whether to start a chunk of a batch inline: there is room, and the last ones of the batch were short."""
        has_room = self.unclaimed + self.in_activities < MAX_RUNNING
        return has_room and self._backoff.may_try(batch_id)

    async def run(self, run_id: str, batch_id: str, started: StartedChunk) -> InlineChunk:
        """Wait for a chunk up to INLINE_LIMIT. One that takes longer finishes its current items and can be claimed."""
        self._started[run_id] = started
        try:
            done, _ = await asyncio.wait({started.task}, timeout=INLINE_LIMIT)
        except asyncio.CancelledError:
            self._forget(run_id)
            started.task.cancel()
            await asyncio.wait({started.task})
            raise
        self._backoff.record(batch_id, is_short=bool(done))
        if done:
            self._forget(run_id)
            return InlineChunk(started.task.result())
        started.run.pause()
        self._timers[run_id] = asyncio.get_running_loop().call_later(CLAIM_TIMEOUT, self._expire, run_id)
        return InlineChunk(before=started.run.next_item)

    def claim(self, run_id: str) -> StartedChunk | None:
        """Return a started chunk to the activity that continues it, and let it take items again."""
        started = self._started.get(run_id)
        if started is not None:
            self._forget(run_id)
            started.run.resume()
        return started

    def close(self) -> None:
        """Cancel all that were not claimed."""
        for run_id, started in list(self._started.items()):
            started.task.cancel()
            self._forget(run_id)

    def _expire(self, run_id: str) -> None:
        self._started[run_id].run.drain()
        self._forget(run_id)

    def _forget(self, run_id: str) -> None:
        self._started.pop(run_id, None)
        if timer := self._timers.pop(run_id, None):
            timer.cancel()


class InlineBackoff:
    """Exponential backoff by batch: after a chunk that took too long the next ones are not started inline.

    Each such chunk doubles the number that is skipped before another one is tried.
    """

    def __init__(self) -> None:
        self._skipped: OrderedDict[str, int] = OrderedDict()
        self._left: dict[str, int] = {}

    def may_try(self, batch_id: str) -> bool:
        """Whether to start the next chunk of a batch inline; counts it as skipped where not."""
        left = self._left.get(batch_id, 0)
        if left:
            self._left[batch_id] = left - 1
        return not left

    def record(self, batch_id: str, *, is_short: bool) -> None:
        """Record whether a chunk ended within the limit."""
        skipped = self._skipped.pop(batch_id, 0)
        self._left.pop(batch_id, None)
        if is_short:
            return
        self._skipped[batch_id] = self._left[batch_id] = min(MAX_SKIPPED, max(1, 2 * skipped))
        if len(self._skipped) > BATCHES_TRACKED:
            oldest, _ = self._skipped.popitem(last=False)
            self._left.pop(oldest, None)


def _retrieve(task: asyncio.Task[ChunkResult]) -> None:
    """Retrieve a task's exception, so that asyncio does not log it for one that nobody awaits."""
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
