"""Item inserts: the activities that write more items and children into the store while a batch runs.

Workflow code: deterministic.
"""

from __future__ import annotations

from typing import Any, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.engine.cancellation import stop_if_canceled
    from orchestration.engine.store_activities import run_store_activity

T = TypeVar("T")


async def insert_items(activity: str, wanted: Any, result_type: type[T], *, summary: str) -> T:
    """Have a page or a section written, and return what was.

    Raises ActivityError: an input that cannot be read is not tried again.
    """
    inserted: T = await run_store_activity(activity, wanted, result_type=result_type, summary=summary)
    stop_if_canceled()
    return inserted
