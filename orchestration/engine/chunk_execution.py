"""How a chunk is processed by activities: of a child workflow, or of the parent itself.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as TemporalTimeoutError
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import (
        ChunkInput,
        ChunkResult,
        InlineChunk,
        ItemInput,
        ItemOptions,
        ItemResult,
        PendingItems,
    )
    from orchestration.contracts.names import (
        BEGIN_CHUNK_ACTIVITY,
        PENDING_ITEMS_ACTIVITY,
        PROCESS_CHUNK_ACTIVITY,
        PROCESS_ITEM_ACTIVITY,
        WRITE_RESULT_ACTIVITY,
    )
    from orchestration.contracts.patches import CHUNK_HAS_ALL_RESULTS, LOST_ITEM_ALONE
    from orchestration.contracts.status import ITEMS_FAILED, RESULTS_MISSING, Failure
    from orchestration.engine.cancellation import stop_if_canceled
    from orchestration.engine.store_activities import HEARTBEAT_TIMEOUT, WORKER_LOST_RETRY, run_store_activity
    from orchestration.errors.failures import failure_of
    from orchestration.temporal.worker_loss import WORKER_LOST, is_lost

INLINE_TIMEOUT = timedelta(seconds=30)
"""Allows for a slow store: the activity itself returns within a second or so of reading."""

ONCE = RetryPolicy(maximum_attempts=1)

TIMEOUT_MARGIN = timedelta(hours=1)
"""The activity applies the item's timeout itself, to the time at work: waiting for a thread or a slot is none. A lost
worker is noticed by its heartbeat."""

SAMPLE_LIMIT = 300

EVENTS_OF_A_FIRST_TASK = 3
"""The start, and a task scheduled and started. There are more where a task was lost, or a signal came first."""

MAX_LOST = 5
"""Activities of one item that may be lost with their workers: one more than until the item is counted out."""


def may_follow_loss() -> bool:
    """Whether a worker may have been lost with a workflow task of this run: asked as soon as the workflow is loaded.

    A lost workflow task comes again after its timeout, to another worker, which replays what is before it. Where it was
    the first there is nothing to replay, but the history says that it timed out. This says what to be careful about; no
    command depends on it.
    """
    return workflow.unsafe.is_replaying() or workflow.info().get_current_history_length() > EVENTS_OF_A_FIRST_TASK


async def run_chunk(chunk: ChunkInput, *, follows_loss: bool = False) -> ChunkResult:
    """Process a chunk and return the counts of its items. Raises ApplicationError when an item of it failed.

    `follows_loss`: a worker may have been lost with the chunk.
    """
    if follows_loss:
        chunk = replace(chunk, after_loss=True)
    result = await (_process_chunk(chunk) if chunk.options is None else _process_items(chunk, chunk.options))
    if result.failed:
        raise items_failed(chunk, result)
    missing = chunk.length - result.completed
    if missing and not chunk.undo and workflow.patched(CHUNK_HAS_ALL_RESULTS):
        message = f"{missing:,} of {chunk.length:,} items have no result."
        raise ApplicationError(message, type=RESULTS_MISSING, non_retryable=not chunk.may_rerun)
    return result


async def _process_chunk(chunk: ChunkInput) -> ChunkResult:
    if chunk.begins_in_task:
        inline = await _run_inline(chunk)
        if inline.result is not None:
            return inline.result
        stop_if_canceled()
        chunk = replace(chunk, begun_before=inline.before)
    result: ChunkResult = await workflow.execute_activity(
        PROCESS_CHUNK_ACTIVITY,
        chunk,
        result_type=ChunkResult,
        task_queue=chunk.task_queue,
        start_to_close_timeout=chunk.timeout,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=WORKER_LOST_RETRY,
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
    return result


async def _run_inline(chunk: ChunkInput) -> InlineChunk:
    """Start a chunk within the workflow task: a short one costs the server no activity."""
    try:
        inline: InlineChunk = await workflow.execute_local_activity(
            BEGIN_CHUNK_ACTIVITY,
            replace(chunk, began_at=workflow.now()),
            result_type=InlineChunk,
            start_to_close_timeout=INLINE_TIMEOUT,
            retry_policy=ONCE,
            cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        return InlineChunk()
    return inline


async def _process_items(chunk: ChunkInput, options: ItemOptions) -> ChunkResult:
    """Give each item an activity of its own, with its own timeout and retries by Temporal."""
    pending: PendingItems = await run_store_activity(
        PENDING_ITEMS_ACTIVITY, chunk, result_type=PendingItems, task_queue=chunk.task_queue
    )
    stop_if_canceled()
    places = asyncio.Semaphore(options.concurrency)

    async def one(index: int) -> ChunkResult | ActivityError:
        async with places:
            return await _process_item_to_its_end(ItemInput(chunk, index, options.attempts), options)

    ended = await asyncio.gather(*(one(index) for index in pending.indices))
    results = [each for each in ended if isinstance(each, ChunkResult)]
    for each in ended:
        if isinstance(each, ActivityError):
            raise each
    sample: Failure | None = next((result.sample for result in results if result.sample), None)
    completed = pending.completed + sum(result.completed for result in results)
    return ChunkResult(completed, sum(result.failed for result in results), sample)


async def _process_item_to_its_end(item: ItemInput, options: ItemOptions) -> ChunkResult | ActivityError:
    """Process an item, again where its worker was lost with it, and return its counts, or what else came between."""
    for _ in range(MAX_LOST):
        try:
            return await _process_item(item, options)
        except ActivityError as error:
            if is_cancelled_exception(error) or not workflow.patched(LOST_ITEM_ALONE):
                raise
            if not isinstance(error.cause, TemporalTimeoutError) and not is_lost(error):
                return error
            lost = error
        stop_if_canceled()
        item = replace(item, chunk=replace(item.chunk, after_loss=True))
    return await _write_lost(item, failure_of(lost))


async def _write_lost(item: ItemInput, reason: Failure) -> ChunkResult | ActivityError:
    """Write the failure of an item that no worker has come back from."""
    chunk, run_id = item.chunk, item.chunk.run_id or workflow.info().run_id
    failure = Failure(WORKER_LOST, f"Its worker was lost {MAX_LOST} times: {reason.message}")
    lost = ItemResult(
        *(chunk.batch_id, chunk.child, run_id, item.index, MAX_LOST, 0.0), failure=failure, finished_at=workflow.now()
    )
    try:
        await run_store_activity(WRITE_RESULT_ACTIVITY, lost, task_queue=chunk.task_queue)
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        return error
    return ChunkResult(0, 1, failure)


async def _process_item(item: ItemInput, options: ItemOptions) -> ChunkResult:
    retry = RetryPolicy(initial_interval=timedelta(seconds=options.backoff or 0.001), maximum_attempts=options.attempts)
    timeout = timedelta(seconds=options.timeout) + TIMEOUT_MARGIN
    if options.is_local:
        timed = replace(item, chunk=replace(item.chunk, began_at=workflow.now()))
        local: ChunkResult = await workflow.execute_local_activity(
            PROCESS_ITEM_ACTIVITY, timed, result_type=ChunkResult, start_to_close_timeout=timeout, retry_policy=retry
        )
        return local
    result: ChunkResult = await workflow.execute_activity(
        PROCESS_ITEM_ACTIVITY,
        item,
        result_type=ChunkResult,
        task_queue=item.chunk.task_queue,
        start_to_close_timeout=timeout,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=retry,
        cancellation_type=ActivityCancellationType.TRY_CANCEL,
    )
    return result


def items_failed(chunk: ChunkInput, result: ChunkResult) -> ApplicationError:
    """Return the error of a chunk of which items failed: the item's own where the chunk is that one item."""
    sample = result.sample
    first = sample.message[:SAMPLE_LIMIT] if sample else ""
    if chunk.length == 1 and sample:
        return ApplicationError(first, type=sample.type, non_retryable=not chunk.may_rerun)
    message = f"{result.failed:,} of {chunk.length:,} items failed: {first}"
    return ApplicationError(message, type=ITEMS_FAILED, non_retryable=not chunk.may_rerun)
