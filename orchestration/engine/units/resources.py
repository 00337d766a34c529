"""Resources and entities that items name, and the wait for a workflow that is not a child of this parent.

Workflow code: deterministic.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.workflow import ActivityHandle

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import HoldInput, ResourcesInput
    from orchestration.contracts.names import AWAIT_WORKFLOW_ACTIVITY, HOLD_RESOURCE_ACTIVITY, READ_RESOURCES_ACTIVITY
    from orchestration.engine.store_activities import UNTIL_IT_WORKS, run_store_activity

HEARTBEAT_TIMEOUT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(days=30)


RESOURCES_LIMIT = 1_000_000
"""Bytes of one answer: Temporal refuses a payload beyond 2 MB."""


async def read_resources(wanted: ResourcesInput) -> list[str]:
    """Return the value of a field for each item of a slice."""
    found = list[str]()
    while True:
        rest = replace(
            wanted, offset=wanted.offset + len(found), length=wanted.length - len(found), most=RESOURCES_LIMIT
        )
        part = await run_store_activity(READ_RESOURCES_ACTIVITY, rest, result_type=list[str], retry=None)
        found += part
        if not part or len(found) >= wanted.length:
            return found


def start_holding(hold: HoldInput) -> ActivityHandle[None]:
    """Start to hold a resource; the result comes once nobody else uses it."""
    return _start_waiting(HOLD_RESOURCE_ACTIVITY, hold, summary=hold.resource[:200])


def start_awaiting(workflow_id: str) -> ActivityHandle[str]:
    """Start the wait for the workflow that has an id now; its result is the Status with which that one ends."""
    return _start_waiting(AWAIT_WORKFLOW_ACTIVITY, workflow_id, result_type=str)


def _start_waiting(activity: str, given: Any, **options: Any) -> ActivityHandle[Any]:
    return workflow.start_activity(
        activity,
        given,
        schedule_to_close_timeout=LONGEST_WAIT,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=UNTIL_IT_WORKS,
        **options,
    )
