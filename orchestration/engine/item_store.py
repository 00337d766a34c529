"""The activities with which a child that is a flow of one item reads the item and writes its result.

Workflow code: deterministic.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkInput, ItemResult
    from orchestration.contracts.names import WRITE_RESULT_ACTIVITY, WRITE_STORED_RESULTS_ACTIVITY
    from orchestration.contracts.status import Failure
    from orchestration.definitions.stored_values import stored_in
    from orchestration.engine.cancellation import stop_if_canceled, to_its_end
    from orchestration.engine.store_activities import run_store_activity


async def read_item(activity: str, chunk: ChunkInput, result_type: Any) -> Any:
    """Return what an activity reads about the one item of a chunk."""
    found = await run_store_activity(activity, chunk, result_type=result_type, task_queue=chunk.task_queue)
    stop_if_canceled()
    return found


async def write_step_results(chunk: ChunkInput, attempts: int, began: datetime, results: dict[str, Any]) -> None:
    """Write the results of steps, by name, as the result of the one item of a chunk."""
    is_whole = not any(stored_in(results))
    await _write(WRITE_RESULT_ACTIVITY if is_whole else WRITE_STORED_RESULTS_ACTIVITY, chunk, attempts, began, results)


async def write_result(
    chunk: ChunkInput, attempts: int, began: datetime, result: Any = None, failure: Failure | None = None
) -> None:
    """Write the result of the one item of a chunk, or why it failed, after so many attempts over all runs.

    What has been done counts as done, although a cancellation comes meanwhile.
    """
    await _write(WRITE_RESULT_ACTIVITY, chunk, attempts, began, result, failure)


async def _write(
    activity: str,
    chunk: ChunkInput,
    attempts: int,
    began: datetime,
    result: Any,
    failure: Failure | None = None,
) -> None:
    now, run_id = workflow.now(), workflow.info().run_id
    seconds = (now - began).total_seconds()
    written = ItemResult(
        *(chunk.batch_id, chunk.child, run_id, chunk.offset, attempts, seconds, result, failure), finished_at=now
    )
    await to_its_end(run_store_activity(activity, written, task_queue=chunk.task_queue))
