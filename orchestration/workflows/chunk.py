"""ChunkWorkflow: a child. One slice of the items, processed by one activity."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts import PROCESS_CHUNK_ACTIVITY, ChunkInput, ChunkResult

HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""A lost worker is noticed after this; process_chunk heartbeats three times as often."""

WORKER_LOST_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=10,
)
"""For a lost worker or store, not for items: those have their own attempts inside the activity."""

SAMPLE_LIMIT = 300


@workflow.defn
class ChunkWorkflow:
    """Process a chunk. Fails when an item of it failed after its attempts; completed items stay completed."""

    @workflow.run
    async def run(self, chunk: ChunkInput) -> ChunkResult:
        """Return the counts of the chunk's items."""
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
        if result.failed:
            raise _items_failed(chunk, result)
        return result


def _items_failed(chunk: ChunkInput, result: ChunkResult) -> ApplicationError:
    sample = result.sample
    first = sample.message[:SAMPLE_LIMIT] if sample else ""
    if chunk.length == 1 and sample:
        return ApplicationError(first, type=sample.type, non_retryable=True)
    message = f"{result.failed:,} of {chunk.length:,} items failed: {first}"
    return ApplicationError(message, type="ItemsFailed", non_retryable=True)
