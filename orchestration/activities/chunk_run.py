"""ChunkRun: one pass over a chunk within an activity: its items through their processor, each with its attempts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from typing import Any

from temporalio.exceptions import ApplicationError

from orchestration.activities.begun_notes import BegunNotes, ended_worker, has_ended_too_many, take_together
from orchestration.activities.item_clock import ItemClock
from orchestration.activities.item_statuses import ItemStatuses
from orchestration.activities.item_watch import ItemWatch, waiting_text
from orchestration.activities.result_writer import ResultWriter
from orchestration.contracts.chunks import ChunkInput, ChunkNote, ChunkResult, ChunkWork, ItemResult, ItemWork
from orchestration.contracts.status import RESULTS_MISSING, Failure
from orchestration.plan.plan import Plan
from orchestration.processors.processor import BoundProcessor, ItemContext
from orchestration.processors.raised import failure_of_raised, leaves_of, original_of, retry_after_of
from orchestration.processors.result_size import size_failure
from orchestration.processors.secrets import mask

YIELD_PERIOD = 0.01
"""Seconds after which a run yields to the event loop: a processor may never wait for anything."""

NO_RESULT = Failure(RESULTS_MISSING, "Its run ended without a result for it.")


class ChunkRun:
    """One pass over a chunk: coroutines take items from one queue, `plan.item_concurrency` of them at a time."""

    def __init__(
        self,
        chunk: ChunkInput,
        run_id: str,
        work: ChunkWork,
        processor: BoundProcessor,
        writer: ResultWriter,
        *,
        earlier_attempts: int = 0,
        notes: BegunNotes | None = None,
        now: Callable[[], datetime] | None = None,
        queue: str = "",
    ) -> None:
        """Take the work; `earlier_attempts` are those of the same run of the child, which Temporal has retried.

        With `notes`, what is begun is noted: a worker may have been lost with the chunk before. `now` tells the time,
        and `queue` is the task queue that the work came from.
        """
        self._earlier_attempts, self.is_last = earlier_attempts, True
        self.completed, self.failed = work.completed, work.failed
        self._chunk, self._run_id, self._now = chunk, run_id, now or (lambda: datetime.now(UTC))
        self._plan: Plan = work.plan
        self._items = deque(sorted(work.items, key=lambda item: item.ends))
        self._open = {item.index: item for item in work.items}
        self._notes, self._sample = notes, work.sample
        self._is_drained = self._is_stopping = False
        self._processor, self._writer, self._watch = processor, writer, ItemWatch(processor.processor.name, queue)
        self._may_retry, self._retry_after = True, 0.0
        self._written, self._statuses = set[asyncio.Future[None]](), ItemStatuses()
        self._not_paused = asyncio.Event()
        self._not_paused.set()

    @property
    def status_text(self) -> str:
        """The newest status that a running item has set, with the item's key."""
        return self._statuses.newest

    @property
    def note(self) -> ChunkNote:
        """The same for the child's row."""
        return ChunkNote(self._chunk.batch_id, self._chunk.child, self.status_text, self._now(), self._run_id)

    @property
    def is_at_work(self) -> bool:
        """Whether an item that was taken has no result yet."""
        return len(self._open) > len(self._items)

    @property
    def next_item(self) -> int:
        """The index up to which items have been taken; they are taken in order."""
        return self._items[0].index if self._items else self._chunk.offset + self._chunk.length

    def pause(self) -> None:
        """Finish the running items, and take no more for now."""
        self._not_paused.clear()

    def resume(self) -> None:
        """Take items again."""
        self._not_paused.set()

    def drain(self) -> None:
        """Finish the running items, and process no others."""
        self._is_drained = True
        self._items.clear()
        self._not_paused.set()

    def hand_on(self) -> None:
        """Finish the running items, and leave the others to another worker."""
        self._is_stopping = True
        self._not_paused.set()

    @property
    def is_handed_on(self) -> bool:
        """Whether items were left to another worker."""
        return self._is_stopping and bool(self._open)

    async def process(self) -> ChunkResult:
        """Process all items; on cancellation keep what is finished. Whatever has no result in the end has failed."""
        self._fail_those_that_end_workers()
        processor = self._processor.processor
        takes_many = processor.signature.takes_many and not self._chunk.undo
        size = processor.together if takes_many else 1
        take = self._process_groups if takes_many else self._process_items
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(ceil(min(self._plan.item_concurrency, len(self._items)) / size)):
                    group.create_task(take())
                    await asyncio.sleep(0)
                    if not self._items:
                        break  # they are done so quickly that it takes fewer
            if not self._is_drained and not self._is_stopping:
                for item in list(self._open.values()):
                    self._record(self._result(item, 0, 0.0, None, NO_RESULT))
        finally:
            await asyncio.shield(self._finish())
        return ChunkResult(self.completed, self.failed, self._sample)

    async def process_once(self) -> ChunkResult:
        """Process the one item. Raises ApplicationError where it failed and may be tried again, unless `is_last`."""
        self._fail_those_that_end_workers()
        try:
            while self._items:
                item = self._items.popleft()
                async with self._noted([item]):
                    result = await self._process_item(item)
                    failure = result.failure
                    if failure is not None and not self.is_last and self._may_retry:
                        delay = timedelta(seconds=self._retry_after) if self._retry_after else None
                        raise ApplicationError(failure.message, type=failure.type, next_retry_delay=delay)
                    self._record(result)
        finally:
            await asyncio.shield(self._finish())
        return ChunkResult(self.completed, self.failed, self._sample)

    def _fail_those_that_end_workers(self) -> None:
        while self._items and has_ended_too_many(self._items[-1]):
            item = self._items.pop()
            self._record(self._result(item, item.ends, 0.0, None, ended_worker(item.ends)))

    async def _finish(self) -> None:
        """Wait until results are written, and take the notes of items that have none back."""
        try:
            await asyncio.gather(*self._written)
        finally:
            if self._notes is not None:
                await self._notes.forget()

    def _noted(self, items: Sequence[ItemWork]) -> AbstractAsyncContextManager[None]:
        if self._notes is None:
            return nullcontext()
        return self._notes.running(items, self._items, written=lambda: asyncio.gather(*self._written))

    async def _process_items(self) -> None:
        clock = asyncio.get_running_loop().time
        turn = clock()
        while await self._not_paused.wait() and self._items and not self._is_stopping:
            item = self._items.popleft()
            async with self._noted([item]):
                self._record(await self._process_item(item))
            if clock() - turn > YIELD_PERIOD:
                await asyncio.sleep(0)
                turn = clock()

    async def _process_groups(self) -> None:
        while await self._not_paused.wait() and self._items and not self._is_stopping:
            group = take_together(self._items, self._processor.processor.together)
            async with self._noted(group):
                async for result in self._process_group(group):
                    self._record(result)

    def _record(self, result: ItemResult) -> None:
        self._open.pop(result.index, None)
        self._watch.finished(result.duration, is_completed=result.failure is None)
        if self._notes is not None:
            self._notes.finished(result.index)
        if result.failure is None:
            self.completed += 1
        else:
            self.failed += 1
            self._sample = self._sample or Failure(result.failure.type, result.failure.message)
        self._written.add(self._writer.put(result))

    async def _process_item(self, item: ItemWork) -> ItemResult:
        for attempt in range(1, self._plan.item_attempts + 1):
            clock = ItemClock(self._plan.item_timeout)
            try:
                async with self._watch.attempt([item.key], attempt), clock:
                    value = await self._handle(item, self._context(item, attempt, clock))
                return self._result(item, attempt, clock.seconds, value, None)
            except Exception as error:
                self._may_retry, self._retry_after = self._may_try_again(error), retry_after_of(error)
                if attempt == self._plan.item_attempts or not self._may_retry:
                    return self._result(item, attempt, clock.seconds, None, self._failure_of(error, clock))
            finally:
                self._statuses.forget(item.key)
            await self._rest([item], attempt, self._retry_after)
        raise AssertionError("An item has at least one attempt.")

    async def _process_group(self, group: list[ItemWork]) -> AsyncIterator[ItemResult]:
        """Process items in one call, and yield the result of each once it has one; the others are tried again."""
        for attempt in range(1, self._plan.item_attempts + 1):
            clock = ItemClock(self._plan.item_timeout)
            try:
                async with self._watch.attempt([item.key for item in group], attempt), clock:
                    contexts = [self._context(item, attempt, clock) for item in group]
                    values = await self._processor.run_many([item.data for item in group], contexts)
            except Exception as error:
                values = [error] * len(group)
            finally:
                for item in group:
                    self._statuses.forget(item.key)
            again, rest = list[ItemWork](), 0.0
            for item, value in zip(group, values, strict=True):
                if not isinstance(value, Exception):
                    yield self._result(item, attempt, clock.seconds, value, None)
                elif attempt < self._plan.item_attempts and self._may_try_again(value):
                    again.append(item)
                    rest = max(rest, retry_after_of(value))
                else:
                    yield self._result(item, attempt, clock.seconds, None, self._failure_of(value, clock))
            if not again:
                return
            group = again
            await self._rest(group, attempt, rest)

    async def _rest(self, items: Sequence[ItemWork], attempt: int, asked: float) -> None:
        """Wait between two attempts: the plan's backoff, or what the error has asked for where that is longer."""
        seconds = max(self._plan.backoff(attempt), asked)
        if text := waiting_text(seconds, asked, attempt + 1, self._plan.item_attempts):
            for item in items:
                self._statuses.set(item.key, text)
        try:
            await asyncio.sleep(seconds)
        finally:
            for item in items:
                self._statuses.forget(item.key)

    def _context(self, item: ItemWork, attempt: int, clock: ItemClock) -> ItemContext:
        return ItemContext(
            item.key,
            item.index,
            item.attempts + self._earlier_attempts + attempt,
            partial(self._statuses.set, item.key),
            self._key_of(item),
            self._chunk.batch_id,
            waiting=clock.stopped,
        )

    def _may_try_again(self, error: Exception) -> bool:
        names = {type(each).__name__ for each in (original_of(error), *leaves_of(error))}
        return self._processor.may_retry(error) and names.isdisjoint(self._plan.non_retryable_types)

    def _result(self, item: ItemWork, attempt: int, duration: float, value: Any, failure: Failure | None) -> ItemResult:
        failure = failure if failure is not None or self._chunk.undo else size_failure(value)
        return ItemResult(
            batch_id=self._chunk.batch_id,
            child=self._chunk.child,
            run_id=self._run_id,
            index=item.index,
            attempts=item.attempts + self._earlier_attempts + attempt,
            duration=duration,
            result=mask(value) if failure is None or self._chunk.undo else None,
            failure=failure,
            undone=self._chunk.undo,
            finished_at=self._now(),
        )

    def _key_of(self, item: ItemWork) -> str:
        return f"{self._chunk.batch_id}/{item.index}{'/undo' if self._chunk.undo else ''}"

    async def _handle(self, item: ItemWork, context: ItemContext) -> Any:
        if not self._chunk.undo:
            return await self._processor.run(item.data, context)
        await self._processor.undo(item.data, item.result, context)
        return item.result

    def _failure_of(self, error: Exception, clock: ItemClock) -> Failure:
        if clock.has_expired:
            return Failure("Timeout", " ".join([f"No result within {self._plan.item_timeout:g} s.", *clock.notes]))
        return failure_of_raised(error)
