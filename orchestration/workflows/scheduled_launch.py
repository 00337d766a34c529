"""ScheduledLaunchWorkflow: what a schedule starts. Launches one batch, and stays open for as long as the batch is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.dashboard_activities import DueLaunch, LaunchedBatch, ScheduledLaunchInput
    from orchestration.contracts.names import (
        AWAIT_BATCH_ACTIVITY,
        DASHBOARD_TASK_QUEUE,
        LAUNCH_SCHEDULED_ACTIVITY,
        SCHEDULE_TASK_QUEUE,
    )
    from orchestration.contracts.workflow_ids import root_id
    from orchestration.engine.store_activities import UNTIL_IT_WORKS
    from orchestration.temporal.deployment import FOLLOWS_CURRENT

SCHEDULED_AT: SearchAttributeKey[datetime] = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""The nominal time, which Temporal puts on every workflow that a schedule starts."""

LAUNCH_TIMEOUT = timedelta(minutes=10)
LAUNCH_WITHIN = timedelta(days=1)
"""How long a launch waits for a dashboard that is away."""

HEARTBEAT_TIMEOUT = timedelta(seconds=30)


@workflow.defn(versioning_behavior=FOLLOWS_CURRENT)
class ScheduledLaunchWorkflow:
    """Launch a schedule's batch and end when its root has closed, so that Temporal's overlap policy applies to batches.

    Canceled (by the policy cancel_other, or by a person), it has the batch canceled and waits for its end. Terminated,
    it can do nothing: the next launch terminates what is open.
    """

    @workflow.run
    async def run(self, given: ScheduledLaunchInput) -> LaunchedBatch:
        """Return the batch."""
        launched = await _launch(given)
        if not launched.batch_id:
            return launched
        try:
            if workflow.cancellation_reason() is None:
                await _closed(launched)
                return launched
        except FailureError as error:
            if not is_cancelled_exception(error):
                raise
        await _cancel(launched)
        await _closed(launched)
        return launched


async def _launch(given: ScheduledLaunchInput) -> LaunchedBatch:
    info = workflow.info()
    at = info.typed_search_attributes.get(SCHEDULED_AT) or info.start_time
    launched: LaunchedBatch = await workflow.execute_activity(
        LAUNCH_SCHEDULED_ACTIVITY,
        DueLaunch(given.schedule_id, at, info.first_execution_run_id),
        result_type=LaunchedBatch,
        task_queue=DASHBOARD_TASK_QUEUE,
        start_to_close_timeout=LAUNCH_TIMEOUT,
        schedule_to_close_timeout=LAUNCH_WITHIN,
        retry_policy=UNTIL_IT_WORKS,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
    return launched


async def _closed(launched: LaunchedBatch) -> None:
    await workflow.execute_activity(
        AWAIT_BATCH_ACTIVITY,
        launched,
        task_queue=SCHEDULE_TASK_QUEUE,
        schedule_to_close_timeout=timedelta(days=3650),
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=UNTIL_IT_WORKS,
    )


async def _cancel(launched: LaunchedBatch) -> None:
    """Ask the batch's root to cancel; one that has closed meanwhile is left as it is."""
    root: workflow.ExternalWorkflowHandle[Any] = workflow.get_external_workflow_handle(root_id(launched.batch_id))
    try:
        await root.cancel(reason="The launch by its schedule was canceled.")
    except FailureError as error:
        workflow.logger.info("Batch %s cannot be canceled: %s", launched.batch_id, error)
