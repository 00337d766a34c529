"""process_chunk: reads a slice of the items, runs the processor over it and writes results as it goes."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from pydantic import ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from orchestration.contracts import (
    PROCESS_CHUNK_ACTIVITY,
    ChunkInput,
    ChunkResult,
    ChunkStore,
    ChunkWork,
    Failure,
    ItemResult,
    ItemWork,
)
from orchestration.plan import Plan
from orchestration.processors.registry import BoundProcessor, ItemContext, UnknownProcessor, get_processor
from orchestration.writer import ResultWriter

HEARTBEAT_EVERY = 3.0
"""Seconds: a third of the heartbeat timeout."""

TURN = 0.01
"""Seconds that items may be taken without letting others have the loop: a processor need not ever wait."""

READERS = 4
MESSAGE_LIMIT = 4_000
STACK_LIMIT = 8_000


class ChunkActivities:
    """The activity of children, over a store that the installation hands in."""

    def __init__(self, store: ChunkStore) -> None:
        self._store = store
        self._writer = ResultWriter(store.write_results)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="chunks")

    @activity.defn(name=PROCESS_CHUNK_ACTIVITY)
    async def process_chunk(self, chunk: ChunkInput) -> ChunkResult:
        """Process what this run of the child has still to do and return the counts of the whole chunk.

        Raises ApplicationError, not retried, for a slice that is not there, for a processor that this worker does not
        know, and for parameters that it does not accept.
        """
        run_id = activity.info().workflow_run_id or ""
        loop = asyncio.get_running_loop()
        try:
            work = await loop.run_in_executor(self._readers, self._store.read_chunk, chunk, run_id)
        except LookupError as error:
            raise ApplicationError(str(error), type="NothingToProcess", non_retryable=True) from error
        processor = _bind(work)
        run = _ChunkRun(chunk, run_id, work, processor, self._writer)
        heart = asyncio.create_task(_beat(run))
        try:
            return await run.process()
        finally:
            heart.cancel()

    def close(self) -> None:
        """End the threads, once no activity runs."""
        self._readers.shutdown()
        self._writer.close()


def _bind(work: ChunkWork) -> BoundProcessor:
    try:
        return get_processor(work.processor).bind(work.parameters)
    except UnknownProcessor as error:
        message = f"This worker does not know the processor {work.processor!r}."
        raise ApplicationError(message, type="UnknownProcessor", non_retryable=True) from error
    except ValidationError as error:
        raise ApplicationError(str(error), type="InvalidParameters", non_retryable=True) from error


async def _beat(run: _ChunkRun) -> None:
    """Tell how far it is. A chunk that is done sooner than that needs no call to the server."""
    while True:
        await asyncio.sleep(HEARTBEAT_EVERY)
        activity.heartbeat(run.completed, run.failed)


class _ChunkRun:
    """One pass over a chunk: `plan.item_concurrency` coroutines take items from one iterator."""

    def __init__(
        self, chunk: ChunkInput, run_id: str, work: ChunkWork, processor: BoundProcessor, writer: ResultWriter
    ) -> None:
        self.completed, self.failed = work.completed, work.failed
        self._chunk, self._run_id = chunk, run_id
        self._plan: Plan = work.plan
        self._items: Iterator[ItemWork] = iter(work.items)
        self._todo = len(work.items)
        self._sample = work.sample
        self._processor, self._writer = processor, writer
        self._written: set[asyncio.Future[None]] = set()

    async def process(self) -> ChunkResult:
        """Process all items; on cancellation keep what is finished."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._plan.item_concurrency, self._todo)):
                    group.create_task(self._take_items())
        finally:
            if self._written:
                await asyncio.shield(asyncio.gather(*self._written))
        return ChunkResult(self.completed, self.failed, self._sample)

    async def _take_items(self) -> None:
        clock = asyncio.get_running_loop().time
        turn = clock()
        for item in self._items:
            result = await self._process_item(item)
            if result.failure is None:
                self.completed += 1
            else:
                self.failed += 1
                self._sample = self._sample or Failure(result.failure.type, result.failure.message)
            self._written.add(self._writer.put(result))
            if clock() - turn > TURN:
                await asyncio.sleep(0)
                turn = clock()

    async def _process_item(self, item: ItemWork) -> ItemResult:
        value, failure, attempt, started = None, None, 0, 0.0
        for attempt in range(1, self._plan.item_attempts + 1):
            started = time.monotonic()
            context = ItemContext(key=item.key, index=item.index, attempt=item.attempts + attempt)
            try:
                async with asyncio.timeout(self._plan.item_timeout):
                    value = await self._processor.run(item.data, context)
                failure = None
                break
            except Exception as error:
                failure = self._failure_of(error)
                if attempt == self._plan.item_attempts or not self._processor.may_retry(error):
                    break
            await asyncio.sleep(self._plan.backoff(attempt))
        return ItemResult(
            batch_id=self._chunk.batch_id,
            child=self._chunk.child,
            run_id=self._run_id,
            index=item.index,
            attempts=item.attempts + attempt,
            duration=time.monotonic() - started,
            result=value,
            failure=failure,
        )

    def _failure_of(self, error: Exception) -> Failure:
        if isinstance(error, TimeoutError) and not str(error):
            return Failure("Timeout", f"No result within {self._plan.item_timeout:g} s.")
        stack = "".join(traceback.format_exception(error))
        return Failure(type(error).__name__, str(error)[:MESSAGE_LIMIT] or type(error).__name__, stack[-STACK_LIMIT:])
