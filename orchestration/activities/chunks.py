"""The activities of chunks: read a slice of the items, run the processor over it, write results as they come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Any, ParamSpec, TypeVar

from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from orchestration.activities.begun_notes import BegunNotes
from orchestration.activities.binding import bound_processor
from orchestration.activities.chunk_run import ChunkRun
from orchestration.activities.inline_chunks import InlineChunks, Started
from orchestration.activities.result_writer import ResultWriter
from orchestration.activities.step_results import StepResults
from orchestration.activities.steps import StepActivity, application_error
from orchestration.activities.store_calls import read_when_back, when_back
from orchestration.contracts.chunks import (
    ChunkInput,
    ChunkResult,
    ChunkWork,
    InlineChunk,
    ItemInput,
    ItemResult,
    PendingItems,
)
from orchestration.contracts.item_workflows import DelegatedWorkflow, Delegation
from orchestration.contracts.names import (
    BEGIN_CHUNK_ACTIVITY,
    DELEGATE_WORKFLOW,
    PENDING_ITEMS_ACTIVITY,
    PROCESS_CHUNK_ACTIVITY,
    PROCESS_ITEM_ACTIVITY,
    READ_DELEGATION_ACTIVITY,
    RESULT_OF_ACTIVITY,
    WRITE_RESULT_ACTIVITY,
    WRITE_STORED_RESULTS_ACTIVITY,
)
from orchestration.contracts.stores import CannotFanOut, InputUnreadable, ResultRefused, StepStore, StoreAway
from orchestration.errors.failures import failure_of
from orchestration.processors import uploads
from orchestration.processors.delegation_policy import id_problem, queue_problem, type_problem
from orchestration.processors.processor import ItemContext
from orchestration.processors.result_size import size_failure
from orchestration.processors.secrets import mask
from orchestration.temporal.heartbeat import heartbeating
from orchestration.temporal.lost_attempts import is_given_up
from orchestration.temporal.task_clock import TaskClock
from orchestration.temporal.worker_loss import handed_on

P = ParamSpec("P")
R = TypeVar("R")
POLL_PERIOD = 1.0
"""Seconds between checks whether another process has finished its items."""

STORE_THREADS = 4


class ChunkActivities:
    """The activities of children and steps, over the store of the installation."""

    def __init__(self, store: StepStore) -> None:
        self._store, self.ping_store = store, store.ping
        self._writer = ResultWriter(store.write_results)
        self._inline = InlineChunks()
        self._alone = asyncio.Lock()
        self._steps = StepActivity(store, self._alone, self.call_store, self._inline)
        self.step_results = StepResults(store, self.call_store)
        uploads.set_upload_source(read_when_back(store.read_upload))
        self._threads = ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="chunks")

    @activity.defn(name=BEGIN_CHUNK_ACTIVITY)
    async def begin_chunk(self, chunk: ChunkInput) -> InlineChunk:
        """Run a chunk inline for a short time, as a local activity. process_chunk continues what has not ended by then.

        It also runs a chunk that cannot be started here: its errors are shown, and retried, by Temporal. So does it one
        with which a worker may have been lost: Temporal counts its attempts, and not those of workflow tasks.
        """
        run_id = _run_id(chunk)
        if chunk.after_loss or not self._inline.may_start(chunk.batch_id):
            return InlineChunk()
        clock = TaskClock.of_activity(chunk.began_at)
        try:
            started = self._inline.claim(run_id) or self._start(chunk, await self._read(chunk), clock)
            return await self._inline.run(run_id, chunk.batch_id, started)
        except Exception:
            return InlineChunk()

    @activity.defn(name=PROCESS_CHUNK_ACTIVITY)
    async def process_chunk(self, chunk: ChunkInput) -> ChunkResult:
        """Process what this run of the child has still to do and return the counts of the whole chunk.

        Raises ApplicationError, not retried, for a slice that is not there, for a processor that this worker does not
        know, and for parameters that it does not accept; retried at once where this worker stops before all is done.
        """
        run_id = _run_id(chunk)
        started = self._inline.claim(run_id) or await self._start_anew(chunk)
        async with self._reporting(started.run):
            result: ChunkResult = await self._inline.result_of(run_id, started, is_given_up)
        if started.run.is_handed_on:
            raise handed_on()
        return result

    async def _start_anew(self, chunk: ChunkInput) -> Started[ChunkRun]:
        """Start a chunk here. Where another process has started it, first wait for the items that it has taken.

        Waits for no longer than one item may take in all its attempts; what has no result by then was lost.
        """
        clock = TaskClock.of_activity(chunk.began_at)
        chunk = replace(chunk, after_loss=_follows_loss(chunk))
        work = await self._read(chunk)
        if chunk.begun_before is not None and activity.info().attempt == 1:
            longest = work.plan.chunk_timeout(1).total_seconds()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(longest), heartbeating():
                    while any(item.index < chunk.begun_before for item in work.items):
                        await asyncio.sleep(POLL_PERIOD)
                        work = await self._read(chunk)
            lost = any(item.index < chunk.begun_before for item in work.items)
            chunk = replace(chunk, after_loss=chunk.after_loss or lost)
        return self._start(chunk, work, clock)

    def _start(self, chunk: ChunkInput, work: ChunkWork, clock: TaskClock) -> Started[ChunkRun]:
        given: dict[str, Any] = {"notes": self._notes(chunk), "now": clock.now, "queue": activity.info().task_queue}
        run = ChunkRun(chunk, _run_id(chunk), work, bound_processor(work), self._writer, **given)
        return Started.of(run, run.process())

    def _notes(self, chunk: ChunkInput) -> BegunNotes | None:
        if not chunk.after_loss:
            return None
        store = self._store
        return BegunNotes(
            *(chunk, _run_id(chunk), self.call_store, self._alone), note=store.note_begun, forget=store.forget_begun
        )

    def _reporting(self, run: ChunkRun) -> contextlib.AbstractAsyncContextManager[None]:
        """Heartbeat with a run's progress, and write its note where that has changed."""
        written = ""

        async def beat() -> None:
            nonlocal written
            activity.heartbeat(run.completed, run.failed, run.status_text)
            if run.status_text != written:
                written = run.status_text
                with contextlib.suppress(StoreAway):
                    await asyncio.get_running_loop().run_in_executor(self._threads, self._store.write_note, run.note)

        return heartbeating(beat)

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
        attempt, run_id = activity.info().attempt, f"{_run_id(wanted.chunk)}/{wanted.index}"
        started = self._inline.claim(run_id) or await self._start_item(wanted, attempt)
        started.run.is_last = attempt >= wanted.attempts
        async with self._reporting(started.run):
            result: ChunkResult = await self._inline.result_of(run_id, started, is_given_up)
        return result

    async def _start_item(self, wanted: ItemInput, attempt: int) -> Started[ChunkRun]:
        chunk, clock = wanted.chunk, TaskClock.of_activity(wanted.chunk.began_at)
        one = replace(chunk, offset=wanted.index, length=1, after_loss=_follows_loss(chunk))
        work = await self._read(one)
        once = work.plan.model_copy(update={"item_attempts": 1})
        given: dict[str, Any] = {"notes": self._notes(one), "now": clock.now, "queue": activity.info().task_queue}
        work = replace(work, plan=once)
        run = ChunkRun(
            one, _run_id(chunk), work, bound_processor(work), self._writer, earlier_attempts=attempt - 1, **given
        )
        return Started.of(run, run.process_once())

    @activity.defn(name=READ_DELEGATION_ACTIVITY)
    async def read_delegation(self, chunk: ChunkInput) -> Delegation | None:
        """Return what is to be started for a child's item, or None when it has completed before.

        Raises ApplicationError, not retried, where the item cannot be made into it.
        """
        work = await self._read(chunk)
        if not work.items:
            return None
        (item,), bound, plan = work.items, bound_processor(work, DELEGATE_WORKFLOW), work.plan
        context = ItemContext(item.key, item.index, item.attempts + 1)
        try:
            made = DelegatedWorkflow(**await bound.run(item.data, context))
        except Exception as error:
            raise application_error(bound, error) from None
        if (
            problem := type_problem(made.workflow_type)
            or queue_problem(made.task_queue)
            or id_problem(made.workflow_id)
        ):
            raise ApplicationError(problem, type="NotAllowed", non_retryable=True)
        return Delegation(made, item.attempts, plan.item_attempts, plan.item_backoff, plan.non_retryable_types)

    @activity.defn(name=RESULT_OF_ACTIVITY)
    async def result_of(self, workflow_id: str) -> Any:
        """Wait for the workflow that has an id now, and return its result. Raises ApplicationError if it has none."""
        async with heartbeating():
            try:
                result = await activity.client().get_workflow_handle(workflow_id).result()
            except WorkflowFailureError as error:
                failure = failure_of(error.cause)
                raise ApplicationError(failure.message, type=failure.type, non_retryable=True) from error
        if (too_large := size_failure(result)) is not None:
            raise ApplicationError(too_large.message, type=too_large.type, non_retryable=True)
        return result

    @activity.defn(name=WRITE_RESULT_ACTIVITY)
    async def write_result(self, result: ItemResult) -> None:
        """Write what became of an item that a workflow has processed itself."""
        async with heartbeating():
            await self._writer.put(replace(result, result=mask(result.result)))

    @activity.defn(name=WRITE_STORED_RESULTS_ACTIVITY)
    async def write_stored_results(self, result: ItemResult) -> None:
        """Write the result of an item that consists of results of steps by name, some of them in the store."""
        whole = await self.step_results.whole(result.batch_id, result.result)
        await self.write_result(replace(result, result=whole))

    async def _read(self, chunk: ChunkInput) -> ChunkWork:
        return await self.call_store(self._store.read_chunk, chunk, _run_id(chunk))

    async def call_store(self, function: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
        """Call the store in a thread, as a part of what is traced here, and wait while it is away.

        Raises ApplicationError, not retried, where no retry could succeed.
        """
        loop = asyncio.get_running_loop()
        try:
            async with heartbeating():
                call = partial(function, *given, **named)
                return await when_back(lambda: loop.run_in_executor(self._threads, copy_context().run, call))
        except (CannotFanOut, InputUnreadable, ResultRefused) as error:
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
            self._steps.run_step,
            self._steps.run_step_over_stored,
            self.read_delegation,
            self.result_of,
            self.write_result,
            self.write_stored_results,
        ]

    def stop(self) -> None:
        """Have chunks finish their current items, and leave the others to other workers: this one stops."""
        self._inline.stop()

    def close(self) -> None:
        """End the threads, once no activity runs."""
        self._inline.close()
        self._threads.shutdown()
        uploads.remove_fetched()
        self._writer.close()


def _run_id(chunk: ChunkInput) -> str:
    return chunk.run_id or activity.info().workflow_run_id or ""


def _follows_loss(chunk: ChunkInput) -> bool:
    """Whether a worker may have been lost with an earlier attempt; a local activity's attempts are all in one."""
    info = activity.info()
    return chunk.after_loss or (info.attempt > 1 and not info.is_local)
