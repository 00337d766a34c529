"""The activities on items: read a slice of them, run the processor over it, write results as they come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, ParamSpec, TypeVar

from pydantic import ValidationError
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from orchestration.activities.chunk_run import ChunkRun
from orchestration.activities.inline_chunks import Begun, BegunChunks
from orchestration.activities.result_writer import ResultWriter
from orchestration.contracts.chunks import (
    ChunkInput,
    ChunkResult,
    ChunkWork,
    InlineChunk,
    ItemInput,
    ItemResult,
    PendingItems,
)
from orchestration.contracts.flows import StepInput
from orchestration.contracts.item_workflows import DelegatedWorkflow, Delegation
from orchestration.contracts.names import (
    BEGIN_CHUNK_ACTIVITY,
    DELEGATE_WORKFLOW,
    PENDING_ITEMS_ACTIVITY,
    PROCESS_CHUNK_ACTIVITY,
    PROCESS_ITEM_ACTIVITY,
    READ_DELEGATION_ACTIVITY,
    RESULT_OF_ACTIVITY,
    RUN_STEP_ACTIVITY,
    WRITE_RESULT_ACTIVITY,
)
from orchestration.contracts.stores import CannotFanOut, InputUnreadable, ItemStore
from orchestration.errors.failures import failure_of
from orchestration.processors import uploads
from orchestration.processors.catalogue import UnknownProcessor, get_processor
from orchestration.processors.processor import BoundProcessor, ItemContext
from orchestration.processors.secrets import mask
from orchestration.temporal.heartbeat import HEARTBEAT_PERIOD, heartbeating

P = ParamSpec("P")
R = TypeVar("R")
LOOK_AGAIN = 1.0
"""Seconds between looks whether another process has finished items."""

READERS = 4


class ItemActivities:
    """The activities on items, over a store that the installation hands in."""

    def __init__(self, store: ItemStore) -> None:
        self._store = store
        self._writer = ResultWriter(store.write_results)
        self._begun = BegunChunks()
        uploads.fetch_with(store.read_upload)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="chunks")

    @activity.defn(name=BEGIN_CHUNK_ACTIVITY)
    async def begin_chunk(self, chunk: ChunkInput) -> InlineChunk:
        """Work on a chunk for a moment, as a local activity. What is not done then, process_chunk has to go on with.

        So it has where anything is wrong: Temporal retries and shows an activity of its own.
        """
        run_id = _run_id(chunk)
        if not self._begun.may_begin(chunk.batch_id):
            return InlineChunk()
        try:
            begun = self._begun.claim(run_id) or self._begin(chunk, await self._read(chunk))
            return await self._begun.work_on(run_id, chunk.batch_id, begun)
        except Exception:
            return InlineChunk()

    @activity.defn(name=PROCESS_CHUNK_ACTIVITY)
    async def process_chunk(self, chunk: ChunkInput) -> ChunkResult:
        """Process what this run of the child has still to do and return the counts of the whole chunk.

        Raises ApplicationError, not retried, for a slice that is not there, for a processor that this worker does not
        know, and for parameters that it does not accept.
        """
        begun = self._begun.claim(_run_id(chunk)) or await self._begin_again(chunk)
        heart = asyncio.create_task(self._beat(begun.run))
        self._begun.in_activities += 1
        try:
            return await begun.task
        finally:
            self._begun.in_activities -= 1
            heart.cancel()

    async def _begin_again(self, chunk: ChunkInput) -> Begun:
        """Begin a chunk that nobody has begun, or whoever did is not to be had: then once what was taken is done.

        Waits for no longer than one item may take in all its attempts; what then has no result was lost.
        """
        work = await self._read(chunk)
        if chunk.begun_before is not None and activity.info().attempt == 1:
            longest = work.plan.chunk_timeout(1).total_seconds()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(longest), heartbeating():
                    while any(item.index < chunk.begun_before for item in work.items):
                        await asyncio.sleep(LOOK_AGAIN)
                        work = await self._read(chunk)
        return self._begin(chunk, work)

    def _begin(self, chunk: ChunkInput, work: ChunkWork) -> Begun:
        return Begun.of(ChunkRun(chunk, _run_id(chunk), work, _bind(work), self._writer))

    async def _beat(self, run: ChunkRun) -> None:
        """Tell how far it is. A chunk that is done sooner than that needs no call to the server."""
        loop, told = asyncio.get_running_loop(), ""
        while True:
            await asyncio.sleep(HEARTBEAT_PERIOD)
            activity.heartbeat(run.completed, run.failed, run.words)
            if run.words != told:
                told = run.words
                await loop.run_in_executor(self._readers, self._store.write_note, run.note)

    @activity.defn(name=PENDING_ITEMS_ACTIVITY)
    async def pending_items(self, chunk: ChunkInput) -> PendingItems:
        """Return which items of a chunk are still to be processed, where each is an activity of its own."""
        work = await self._read(chunk)
        return PendingItems([item.index for item in work.items], work.completed)

    @activity.defn(name=PROCESS_ITEM_ACTIVITY)
    async def process_item(self, wanted: ItemInput) -> ChunkResult:
        """Process one item, once: Temporal gives it its further attempts. The last one's failure is its result.

        Raises ApplicationError while there are attempts left.
        """
        chunk, attempt = wanted.chunk, activity.info().attempt
        one = replace(chunk, offset=wanted.index, length=1)
        work = await self._read(one)
        once = work.plan.model_copy(update={"item_attempts": 1})
        run = ChunkRun(one, _run_id(chunk), replace(work, plan=once), _bind(work), self._writer, made=attempt - 1)
        heart = asyncio.create_task(self._beat(run))
        try:
            return await run.process_once(is_last=attempt >= wanted.attempts)
        finally:
            heart.cancel()

    @activity.defn(name=READ_DELEGATION_ACTIVITY)
    async def read_delegation(self, chunk: ChunkInput) -> Delegation | None:
        """Return what is to be started for a child's item, or None when it has completed before.

        Raises ApplicationError, not retried, where the item cannot be made into it.
        """
        work = await self._read(chunk)
        if not work.items:
            return None
        (item,), bound, plan = work.items, _bind(work, DELEGATE_WORKFLOW), work.plan
        context = ItemContext(item.key, item.index, item.attempts + 1)
        try:
            made = DelegatedWorkflow(**await bound.run(item.data, context))
        except Exception as error:
            final = not bound.may_retry(error)
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=final) from error
        return Delegation(made, item.attempts, plan.item_attempts, plan.item_backoff, plan.non_retryable_types)

    @activity.defn(name=RESULT_OF_ACTIVITY)
    async def result_of(self, workflow_id: str) -> Any:
        """Wait for the workflow that has an id now, and return its result. Raises ApplicationError if it has none."""
        async with heartbeating():
            try:
                return await activity.client().get_workflow_handle(workflow_id).result()
            except WorkflowFailureError as error:
                failure = failure_of(error.cause)
                raise ApplicationError(failure.message, type=failure.type, non_retryable=True) from error

    @activity.defn(name=WRITE_RESULT_ACTIVITY)
    async def write_result(self, result: ItemResult) -> None:
        """Write what became of an item that a workflow has processed itself."""
        await self._writer.put(replace(result, result=mask(result.result)))

    @activity.defn(name=RUN_STEP_ACTIVITY)
    async def run_step(self, step: StepInput) -> Any:
        """Run one processor over one input and return its result. Raises ApplicationError with the error's own type."""
        try:
            bound = get_processor(step.processor).bind(step.parameters)
        except (UnknownProcessor, ValidationError) as error:
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
        key, attempt = step.idempotency_key or f"{step.batch_id}/{step.name}", activity.info().attempt
        context = ItemContext(key=step.name, index=0, attempt=attempt, idempotency_key=key)
        async with heartbeating():
            try:
                return mask(await bound.run(step.data, context))
            except Exception as error:
                final = not bound.may_retry(error)
                # Not from the error: what that says and where would go to Temporal too, with whatever secrets it tells.
                raise ApplicationError(mask(str(error)), type=type(error).__name__, non_retryable=final) from None

    async def _read(self, chunk: ChunkInput) -> ChunkWork:
        return await self.ask(self._store.read_chunk, chunk, _run_id(chunk))

    async def ask(self, question: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
        """Ask the store in a thread. Raises ApplicationError, not retried, where nobody could answer."""
        loop = asyncio.get_running_loop()
        try:
            async with heartbeating():
                return await loop.run_in_executor(self._readers, partial(question, *given, **named))
        except (CannotFanOut, InputUnreadable) as error:
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
        except LookupError as error:
            raise ApplicationError(str(error), type="NothingToProcess", non_retryable=True) from error

    @property
    def all(self) -> list[Callable[..., Any]]:
        """The activities, for a worker to register."""
        return [
            self.begin_chunk,
            self.process_chunk,
            self.pending_items,
            self.process_item,
            self.run_step,
            self.read_delegation,
            self.result_of,
            self.write_result,
        ]

    def close(self) -> None:
        """End the threads, once no activity runs."""
        self._begun.close()
        self._readers.shutdown()
        uploads.forget()
        self._writer.close()


def _run_id(chunk: ChunkInput) -> str:
    return chunk.run_id or activity.info().workflow_run_id or ""


def _bind(work: ChunkWork, child_workflow: str = "") -> BoundProcessor:
    """Return the processor of a chunk, which must be one for children of this type."""
    try:
        found = get_processor(work.processor)
        if found.child_workflow != child_workflow:
            message = f"{work.processor} is done by children of another type than this one."
            raise ApplicationError(message, type="WrongChild", non_retryable=True)
        return found.bind(work.parameters)
    except UnknownProcessor as error:
        message = f"This worker does not know the processor {work.processor!r}."
        raise ApplicationError(message, type="UnknownProcessor", non_retryable=True) from error
    except ValidationError as error:
        raise ApplicationError(str(error), type="InvalidParameters", non_retryable=True) from error
