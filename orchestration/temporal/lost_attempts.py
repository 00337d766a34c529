"""Attempts of activities that Temporal has lost sight of: it makes another one, although the first is still at work."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

ASK_WITHIN = timedelta(seconds=5)


async def is_given_up() -> bool:
    """Whether the running activity was canceled for no other reason: its workflow is open, and nobody asked to stop."""
    details, info = activity.cancellation_details(), activity.info()
    if details is None or not (details.not_found or details.timed_out) or not info.workflow_id:
        return False
    handle = activity.client().get_workflow_handle(info.workflow_id, run_id=info.workflow_run_id)
    try:
        found = await handle.describe(rpc_timeout=ASK_WITHIN)
    except RPCError as error:
        return error.status is not RPCStatusCode.NOT_FOUND
    return found.status is WorkflowExecutionStatus.RUNNING
