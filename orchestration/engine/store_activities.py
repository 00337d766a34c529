"""Store activities: what workflows have read or written in a store. While it is away they wait, and heartbeat.

Workflow code: deterministic.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

STORE_TIMEOUT = timedelta(hours=1)
"""How long an activity waits for a store that is away."""

HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""A lost worker is noticed after this; activities heartbeat three times as often."""

WORKER_LOST_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    maximum_interval=timedelta(seconds=10),
    maximum_attempts=10,
)
"""For a lost worker, not for items: those have their own attempts inside the activity."""


UNTIL_IT_WORKS = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))
"""For what waits for a neighbour of ours. Temporal's own default waits up to 100 s after the neighbour is back."""


async def run_store_activity(
    activity: str,
    given: Any,
    *,
    result_type: Any = None,
    task_queue: str | None = None,
    retry: RetryPolicy | None = WORKER_LOST_RETRY,
    summary: str | None = None,
) -> Any:
    """Run an activity of the parent's own task queue, or of another, and return its result. Raises ActivityError."""
    return await workflow.execute_activity(
        activity,
        given,
        result_type=result_type,
        task_queue=task_queue,
        start_to_close_timeout=STORE_TIMEOUT,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=retry or UNTIL_IT_WORKS,
        summary=summary,
    )
