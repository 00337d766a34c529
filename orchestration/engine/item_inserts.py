"""Item inserts: the activities that write more items and children into the store while a batch runs.

Workflow code: deterministic.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

INSERT_TIMEOUT = timedelta(hours=1)
INSERT_HEARTBEAT_TIMEOUT = timedelta(seconds=15)
INSERT_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10), maximum_attempts=10
)
"""For a lost worker: the activity waits for a store that is away. An input that cannot be read is not tried again."""

T = TypeVar("T")


async def insert_items(activity: str, wanted: Any, result_type: type[T], *, summary: str) -> T:
    """Have a page or a section written, and return what was. Raises ActivityError."""
    inserted: T = await workflow.execute_activity(
        activity,
        wanted,
        result_type=result_type,
        start_to_close_timeout=INSERT_TIMEOUT,
        heartbeat_timeout=INSERT_HEARTBEAT_TIMEOUT,
        retry_policy=INSERT_RETRY,
        summary=summary,
    )
    return inserted
