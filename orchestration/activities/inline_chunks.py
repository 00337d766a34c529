"""Begun chunks: those that this worker process has begun in a workflow task, until an activity claims them.

A chunk that is done in a moment needs no activity of the server's. One that is not goes on where it is: `process_chunk`
claims it, in the same process, because Temporal hands an activity to the worker that asked for it where that has room.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from dataclasses import dataclass

from orchestration.activities.chunk_run import ChunkRun
from orchestration.contracts.chunks import ChunkResult, InlineChunk

MOMENT = 1.0
"""Seconds that a chunk may take within a workflow task: a tenth of what Temporal gives one."""

UNCLAIMED = 10.0
"""Seconds after which a begun chunk that nobody claims is left: another process has it, or its child was ended."""

MOST_AT_WORK = 100
"""Chunks of this process, begun or in activities, beyond which none is begun: what is to claim it must find room."""

MOST_PASSES = 64
BATCHES_KNOWN = 1_000


@dataclass(frozen=True)
class Begun:
    """A run over a chunk, and the task that makes it."""

    run: ChunkRun
    task: asyncio.Task[ChunkResult]

    @classmethod
    def of(cls, run: ChunkRun) -> Begun:
        """Begin it."""
        task = asyncio.create_task(run.process())
        task.add_done_callback(_retrieve)
        return cls(run, task)


class BegunChunks:
    """What this process has begun, by run of the child."""

    def __init__(self) -> None:
        self.in_activities = 0
        self._brief = Brief()
        self._begun: dict[str, Begun] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def unclaimed(self) -> int:
        """How many are begun and not claimed."""
        return len(self._begun)

    def may_begin(self, batch_id: str) -> bool:
        """Whether to begin a chunk of a batch: there is room, and it may be done in a moment."""
        has_room = self.unclaimed + self.in_activities < MOST_AT_WORK
        return has_room and self._brief.may_be(batch_id)

    async def work_on(self, run_id: str, batch_id: str, begun: Begun) -> InlineChunk:
        """Work on a chunk for a moment. One that takes longer finishes what it has taken, and waits to be claimed."""
        self._begun[run_id] = begun
        try:
            done, _ = await asyncio.wait({begun.task}, timeout=MOMENT)
        except asyncio.CancelledError:
            self._forget(run_id)
            begun.task.cancel()
            await asyncio.wait({begun.task})
            raise
        self._brief.told(batch_id, is_brief=bool(done))
        if done:
            self._forget(run_id)
            return InlineChunk(begun.task.result())
        begun.run.pause()
        self._timers[run_id] = asyncio.get_running_loop().call_later(UNCLAIMED, self._leave, run_id)
        return InlineChunk(before=begun.run.next_item)

    def claim(self, run_id: str) -> Begun | None:
        """Hand over what was begun of a chunk, which goes on."""
        begun = self._begun.get(run_id)
        if begun is not None:
            self._forget(run_id)
            begun.run.resume()
        return begun

    def close(self) -> None:
        """Stop all that nobody has claimed."""
        for run_id, begun in list(self._begun.items()):
            begun.task.cancel()
            self._forget(run_id)

    def _leave(self, run_id: str) -> None:
        self._begun[run_id].run.end()
        self._forget(run_id)

    def _forget(self, run_id: str) -> None:
        self._begun.pop(run_id, None)
        if timer := self._timers.pop(run_id, None):
            timer.cancel()


class Brief:
    """Which batches have chunks that are done in a moment, as their last ones told: others are passed over.

    After each that took longer twice as many are passed over as before, then the next one is tried.
    """

    def __init__(self) -> None:
        self._passes: OrderedDict[str, int] = OrderedDict()
        self._left: dict[str, int] = {}

    def may_be(self, batch_id: str) -> bool:
        """Whether a chunk of a batch is worth beginning."""
        left = self._left.get(batch_id, 0)
        if left:
            self._left[batch_id] = left - 1
        return not left

    def told(self, batch_id: str, *, is_brief: bool) -> None:
        """Learn whether a chunk was done in a moment."""
        passes = self._passes.pop(batch_id, 0)
        self._left.pop(batch_id, None)
        if is_brief:
            return
        self._passes[batch_id] = self._left[batch_id] = min(MOST_PASSES, max(1, 2 * passes))
        if len(self._passes) > BATCHES_KNOWN:
            oldest, _ = self._passes.popitem(last=False)
            self._left.pop(oldest, None)


def _retrieve(task: asyncio.Task[ChunkResult]) -> None:
    """Look at how a task ended, for one that nobody claims."""
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
