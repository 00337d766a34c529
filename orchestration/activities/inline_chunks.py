"""Inline chunks: those that this worker process runs, so that an activity claims one instead of running it again.

A chunk that ends within a second needs no activity of the server's. One that does not keeps running: `process_chunk`
claims it in the same process, because Temporal gives an activity to the worker that scheduled it where that has room.

Where Temporal was away, or has not heard of this process for too long, it makes another attempt of the activity
although the chunk is still at work. That attempt claims it, too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from orchestration.activities.chunk_run import ChunkRun
from orchestration.contracts.chunks import InlineChunk

INLINE_LIMIT = 1.0
"""Seconds that a chunk may take within a workflow task: a tenth of the task's timeout."""

CLAIM_TIMEOUT = 10.0
"""Seconds after which a chunk that no activity claims is given up: another process runs it, or its child has ended.

Items that are at work then run to their end."""

MAX_RUNNING = 100
"""Chunks of this process, inline or in activities, beyond which none starts inline: its activity would find no slot."""

MAX_SKIPPED = 64
BATCHES_TRACKED = 1_000


class Run(Protocol):
    """What is at work: over a chunk, or a step's. It may be asked to take no more."""

    @property
    def is_at_work(self) -> bool:
        """Whether something that was taken has no result yet."""
        ...

    def pause(self) -> None:
        """Take no more for now."""
        ...

    def resume(self) -> None:
        """Take more again."""
        ...

    def drain(self) -> None:
        """Take no more."""
        ...

    def hand_on(self) -> None:
        """Take no more, and leave what was not taken to another worker."""
        ...


R = TypeVar("R", bound=Run)


@dataclass(frozen=True)
class Started(Generic[R]):
    """A run, and its task."""

    run: R
    task: asyncio.Task[Any]

    @classmethod
    def of(cls, run: R, work: Coroutine[Any, Any, Any]) -> Started[R]:
        """Start a run: what it does is `work`."""
        task = asyncio.create_task(work)
        task.add_done_callback(_retrieve)
        return cls(run, task)


@dataclass(eq=False)
class _Attempt:
    """An attempt of an activity that awaits a chunk."""

    started: Started[Any]


class InlineChunks:
    """The chunks of this process by run of the child: those started inline, and those that activities await."""

    def __init__(self) -> None:
        self._backoff = InlineBackoff()
        self._started: dict[str, Started[Any]] = {}
        self._attempts: dict[str, _Attempt] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_stopping = False

    @property
    def unclaimed(self) -> int:
        """How many have started and were not claimed."""
        return len(self._started)

    def may_start(self, batch_id: str) -> bool:
        """Whether to start a chunk of a batch inline: there is room, and the last ones of the batch were short."""
        has_room = self.unclaimed + len(self._attempts) < MAX_RUNNING and not self._is_stopping
        return has_room and self._backoff.may_try(batch_id)

    async def run(self, run_id: str, batch_id: str, started: Started[ChunkRun]) -> InlineChunk:
        """Wait for a chunk up to INLINE_LIMIT. One that takes longer finishes its current items and can be claimed."""
        self._started[run_id] = started
        try:
            done, _ = await asyncio.wait({started.task}, timeout=INLINE_LIMIT)
        except asyncio.CancelledError:
            await self._give_up(run_id, started)
            raise
        self._backoff.record(batch_id, is_short=bool(done))
        if done:
            self._forget(run_id)
            return InlineChunk() if started.run.is_handed_on else InlineChunk(started.task.result())
        if self._is_stopping:  # whoever goes on would wait for the items that were begun here
            await self._give_up(run_id, started)
            return InlineChunk()
        self._keep(run_id, started)
        return InlineChunk(before=started.run.next_item)

    async def _give_up(self, run_id: str, started: Started[Any]) -> None:
        self._forget(run_id)
        started.task.cancel()
        await asyncio.wait({started.task})

    def _keep(self, run_id: str, started: Started[Any]) -> None:
        """Let a chunk finish its current items, and take no more until it is claimed."""
        started.run.pause()
        self._started[run_id] = started
        self._timers[run_id] = asyncio.get_running_loop().call_later(CLAIM_TIMEOUT, self._expire, run_id)

    async def result_of(self, run_id: str, started: Started[Any], is_given_up: Callable[[], Awaitable[bool]]) -> Any:
        """Return what comes of a chunk, which is canceled with the activity that awaits it.

        Not where another attempt has claimed it, or may: where `is_given_up`, Temporal has lost sight of the activity
        alone.
        """
        attempt = self._attempts[run_id] = _Attempt(started)
        if self._is_stopping:
            started.run.hand_on()
        try:
            await asyncio.wait({started.task})
        except asyncio.CancelledError:
            may_be_claimed = await is_given_up()
            if self._attempts.get(run_id) is attempt and may_be_claimed:
                self._keep(run_id, started)
            elif self._attempts.get(run_id) is attempt:
                started.task.cancel()
                await asyncio.wait({started.task})
            raise
        finally:
            if self._attempts.get(run_id) is attempt:
                del self._attempts[run_id]
        return started.task.result()

    def claim(self, run_id: str) -> Started[Any] | None:
        """Return a chunk to the activity that continues it, and let it take items again."""
        if started := self._started.get(run_id):
            self._forget(run_id)
            started.run.resume()
            return started
        attempt = self._attempts.get(run_id)
        return attempt.started if attempt is not None else None

    def stop(self) -> None:
        """Have all finish their current items, and leave the others to other workers. None starts any more."""
        self._is_stopping = True
        for started in [*self._started.values(), *(attempt.started for attempt in self._attempts.values())]:
            started.run.hand_on()

    def close(self) -> None:
        """Cancel all that were not claimed."""
        for run_id, started in list(self._started.items()):
            started.task.cancel()
            self._forget(run_id)

    def _expire(self, run_id: str) -> None:
        started = self._started[run_id]
        if started.run.is_at_work and not started.task.done():
            self._timers[run_id] = asyncio.get_running_loop().call_later(CLAIM_TIMEOUT, self._expire, run_id)
            return
        started.run.drain()
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


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Retrieve a task's exception, so that asyncio does not log it for one that nobody awaits."""
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
