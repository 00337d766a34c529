"""PruneWorkflow: what the schedule of retention starts. The dashboard deletes what is due."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.dashboard_activities import PruneInput, PruneResult
    from orchestration.contracts.names import DASHBOARD_TASK_QUEUE, PRUNE_ACTIVITY

WITHIN = timedelta(hours=23)
"""A run ends before the next one is due; what is left is deleted then."""

HEARTBEAT_TIMEOUT = timedelta(minutes=1)
"""The dashboard reports after each portion, none of which takes a second."""

UNTIL_THE_NEXT = RetryPolicy(initial_interval=timedelta(seconds=10), maximum_interval=timedelta(minutes=10))


@workflow.defn
class PruneWorkflow:
    """Have the dashboard delete what is due, again where its process ends meanwhile. Ends once that is done."""

    @workflow.run
    async def run(self, given: PruneInput) -> PruneResult:
        """Return what was deleted."""
        deleted: PruneResult = await workflow.execute_activity(
            PRUNE_ACTIVITY,
            given,
            result_type=PruneResult,
            task_queue=DASHBOARD_TASK_QUEUE,
            schedule_to_close_timeout=WITHIN,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=UNTIL_THE_NEXT,
        )
        return deleted
