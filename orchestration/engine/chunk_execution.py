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
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import (
        ChunkInput,
        ChunkResult,
        InlineChunk,
        ItemInput,
        ItemOptions,
        PendingItems,
    )
    from orchestration.contracts.names import (
        BEGIN_CHUNK_ACTIVITY,
        PENDING_ITEMS_ACTIVITY,
        PROCESS_CHUNK_ACTIVITY,
        PROCESS_ITEM_ACTIVITY,
    )
    from orchestration.contracts.status import Failure

HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""A lost worker is noticed after this; process_chunk heartbeats three times as often."""

LIST_TIMEOUT = timedelta(seconds=30)

INLINE_TIMEOUT = timedelta(seconds=30)
"""Allows for a slow store: the activity itself returns within a second or so of reading."""

ONCE = RetryPolicy(maximum_attempts=1)

TIMEOUT_MARGIN = timedelta(hours=1)
"""The activity applies the item's timeout itself, to the time at work: waiting for a thread or a slot is none. A lost
worker is noticed by its heartbeat."""

WORKER_LOST_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=10,
)
"""For a lost worker or store, not for items: those have their own attempts inside the activity."""

SAMPLE_LIMIT = 300

ITEMS_FAILED = "ItemsFailed"


async def run_chunk(chunk: ChunkInput) -> ChunkResult:
    """Process a chunk and return the counts of its items. Raises ApplicationError when an item of it failed."""
    result = await (_process_chunk(chunk) if chunk.options is None else _process_items(chunk, chunk.options))
    if result.failed:
        raise items_failed(chunk, result)
    return result


async def _process_chunk(chunk: ChunkInput) -> ChunkResult:
    if chunk.begins_in_task:
        inline = await _run_inline(chunk)
        if inline.result is not None:
            return inline.result
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
            chunk,
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
    pending: PendingItems = await workflow.execute_activity(
        PENDING_ITEMS_ACTIVITY,
        chunk,
        result_type=PendingItems,
        task_queue=chunk.task_queue,
        start_to_close_timeout=LIST_TIMEOUT,
        retry_policy=WORKER_LOST_RETRY,
    )
    places = asyncio.Semaphore(options.concurrency)

    async def one(index: int) -> ChunkResult:
        async with places:
            return await _process_item(ItemInput(chunk, index, options.attempts), options)

    results = await asyncio.gather(*(one(index) for index in pending.indices))
    sample: Failure | None = next((result.sample for result in results if result.sample), None)
    completed = pending.completed + sum(result.completed for result in results)
    return ChunkResult(completed, sum(result.failed for result in results), sample)


async def _process_item(item: ItemInput, options: ItemOptions) -> ChunkResult:
    retry = RetryPolicy(initial_interval=timedelta(seconds=options.backoff or 0.001), maximum_attempts=options.attempts)
    timeout = timedelta(seconds=options.timeout) + TIMEOUT_MARGIN
    if options.is_local:
        local: ChunkResult = await workflow.execute_local_activity(
            PROCESS_ITEM_ACTIVITY, item, result_type=ChunkResult, start_to_close_timeout=timeout, retry_policy=retry
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
