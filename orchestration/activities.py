"""The activities of children: read a slice of the items, run the processor over it, write results as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, ParamSpec, TypeVar

from pydantic import ValidationError
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.chunk_contracts import (
    CannotFanOut,
    ChunkInput,
    ChunkResult,
    ChunkStore,
    ChunkWork,
    InputUnreadable,
    ItemInput,
    ItemResult,
    PendingItems,
    ResourcesInput,
    SagaItem,
    Submission,
)
from orchestration.chunk_run import ChunkRun
from orchestration.contracts import (
    ADVANCE_ACTIVITY,
    AWAIT_WORKFLOW_ACTIVITY,
    BEGIN_FAN_OUT_ACTIVITY,
    CHILD_TASK_QUEUE,
    ENTITY_SUBMIT,
    ENTITY_WORKFLOW,
    PENDING_ITEMS_ACTIVITY,
    PROCESS_CHUNK_ACTIVITY,
    PROCESS_ITEM_ACTIVITY,
    READ_PAGE_ACTIVITY,
    READ_RESOURCES_ACTIVITY,
    READ_SAGA_ITEM_ACTIVITY,
    RUN_STEP_ACTIVITY,
    SUBMIT_ACTIVITY,
    SUMMARISE_ACTIVITY,
    WRITE_RESULT_ACTIVITY,
    ReadPage,
    Section,
    Status,
    StepInput,
    SummariseInput,
    WantedFanOut,
    WantedPage,
    WantedSection,
)
from orchestration.processors.registry import BoundProcessor, ItemContext, UnknownProcessor, get_processor
from orchestration.writer import ResultWriter

P = ParamSpec("P")
R = TypeVar("R")

HEARTBEAT_EVERY = 3.0
"""Seconds: a third of the heartbeat timeout."""

READERS = 4


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
        work = await self._read(chunk)
        run = ChunkRun(chunk, _run_id(chunk), work, _bind(work), self._writer)
        heart = asyncio.create_task(self._beat(run))
        try:
            return await run.process()
        finally:
            heart.cancel()

    async def _beat(self, run: ChunkRun) -> None:
        """Tell how far it is. A chunk that is done sooner than that needs no call to the server."""
        loop, told = asyncio.get_running_loop(), ""
        while True:
            await asyncio.sleep(HEARTBEAT_EVERY)
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

    @activity.defn(name=RUN_STEP_ACTIVITY)
    async def run_step(self, step: StepInput) -> Any:
        """Run one processor over one input and return its result. Raises ApplicationError with the error's own type."""
        try:
            bound = get_processor(step.processor).bind(step.parameters)
        except (UnknownProcessor, ValidationError) as error:
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
        key, attempt = step.idempotency_key or f"{step.batch_id}/{step.name}", activity.info().attempt
        context = ItemContext(key=step.name, index=0, attempt=attempt, idempotency_key=key)
        heart = asyncio.create_task(_keep_alive())
        try:
            return await bound.run(step.data, context)
        except Exception as error:
            final = not bound.may_retry(error)
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=final) from error
        finally:
            heart.cancel()

    @activity.defn(name=READ_RESOURCES_ACTIVITY)
    async def read_resources(self, wanted: ResourcesInput) -> list[str]:
        """Return what each item of a slice names as its resource."""
        return await self._ask(self._store.read_resources, wanted)

    @activity.defn(name=READ_PAGE_ACTIVITY)
    async def read_page(self, wanted: WantedPage) -> ReadPage:
        """Read the next page of a batch's input into the store. Raises ApplicationError, not retried, if it cannot."""
        return await self._ask(self._store.read_page, wanted)

    @activity.defn(name=ADVANCE_ACTIVITY)
    async def advance(self, wanted: WantedSection) -> Section:
        """Make the next section of a pipeline, of what the stage before has let through."""
        return await self._ask(self._store.advance, wanted)

    @activity.defn(name=BEGIN_FAN_OUT_ACTIVITY)
    async def begin_fan_out(self, wanted: WantedFanOut) -> Section:
        """Make the items and children of a step that fans out. Raises ApplicationError, not retried, if it cannot."""
        return await self._ask(self._store.begin_fan_out, wanted)

    @activity.defn(name=READ_SAGA_ITEM_ACTIVITY)
    async def read_saga_item(self, chunk: ChunkInput) -> SagaItem:
        """Return a child's item, and the saga that it goes through."""
        return await self._ask(self._store.read_saga_item, chunk)

    @activity.defn(name=WRITE_RESULT_ACTIVITY)
    async def write_result(self, result: ItemResult) -> None:
        """Write what became of an item that a workflow has processed itself."""
        await self._writer.put(result)

    @activity.defn(name=SUBMIT_ACTIVITY)
    async def submit(self, given: Submission) -> None:
        """Signal an operation to its entity, which is started by the same call where it does not run."""
        await activity.client().start_workflow(
            ENTITY_WORKFLOW,
            given.entity,
            id=given.workflow_id,
            task_queue=CHILD_TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal=ENTITY_SUBMIT,
            start_signal_args=[given.operation],
            static_summary=given.entity.entity,
        )

    @activity.defn(name=SUMMARISE_ACTIVITY)
    async def summarise(self, given: SummariseInput) -> None:
        """Write the report of a batch's run."""
        await self._ask(self._store.write_report, given)

    @activity.defn(name=AWAIT_WORKFLOW_ACTIVITY)
    async def await_workflow(self, workflow_id: str) -> str:
        """Return how the workflow that has an id now ends: a Status. One that is gone counts as terminated."""
        heart = asyncio.create_task(_keep_alive())
        try:
            await activity.client().get_workflow_handle(workflow_id).result()
        except WorkflowFailureError:
            return Status.FAILED
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return Status.TERMINATED
        finally:
            heart.cancel()
        return Status.COMPLETED

    async def _read(self, chunk: ChunkInput) -> ChunkWork:
        return await self._ask(self._store.read_chunk, chunk, _run_id(chunk))

    async def _ask(self, question: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
        """Ask the store in a thread. Raises ApplicationError, not retried, where nobody could answer."""
        heart = asyncio.create_task(_keep_alive())
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._readers, partial(question, *given, **named))
        except (CannotFanOut, InputUnreadable) as error:
            raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error
        except LookupError as error:
            raise ApplicationError(str(error), type="NothingToProcess", non_retryable=True) from error
        finally:
            heart.cancel()

    @property
    def all(self) -> list[Callable[..., Any]]:
        """The activities, for a worker to register."""
        return [
            self.run_step,
            self.summarise,
            self.process_chunk,
            self.pending_items,
            self.process_item,
            self.read_page,
            self.submit,
            self.read_saga_item,
            self.write_result,
            self.advance,
            self.begin_fan_out,
            self.read_resources,
            self.await_workflow,
        ]

    def close(self) -> None:
        """End the threads, once no activity runs."""
        self._readers.shutdown()
        self._writer.close()


def _run_id(chunk: ChunkInput) -> str:
    return chunk.run_id or activity.info().workflow_run_id or ""


async def _keep_alive() -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_EVERY)
        activity.heartbeat()


def _bind(work: ChunkWork) -> BoundProcessor:
    try:
        return get_processor(work.processor).bind(work.parameters)
    except UnknownProcessor as error:
        message = f"This worker does not know the processor {work.processor!r}."
        raise ApplicationError(message, type="UnknownProcessor", non_retryable=True) from error
    except ValidationError as error:
        raise ApplicationError(str(error), type="InvalidParameters", non_retryable=True) from error
