"""The summary of a batch's run: a report that the dashboard writes once the root is about to close.

Workflow code: deterministic.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.fan_out import FanOutInput, SummariseInput
    from orchestration.contracts.names import SUMMARISE_ACTIVITY
    from orchestration.contracts.status import Failure, Status
    from orchestration.engine.units.factory import Units

SUMMARISE_TIMEOUT = timedelta(hours=1)
SUMMARISE_HEARTBEAT_TIMEOUT = timedelta(seconds=15)
SUMMARISE_RETRY = RetryPolicy(maximum_attempts=3)
"""For a report that cannot be written, or a lost worker: the activity waits for a store that is away."""


async def summarise(given: FanOutInput, failure: Failure | None, units: Units) -> None:
    """Have a report written where the plan asks for one. A report that fails does not fail the batch."""
    if not (given.is_root and given.plan.summarise):
        return
    outcome, reason = (Status.FAILED, failure.message) if failure else (Status.COMPLETED, "")
    try:
        await workflow.execute_activity(
            SUMMARISE_ACTIVITY,
            SummariseInput(
                given.batch_id, workflow.info().first_execution_run_id, outcome, reason, units.result().counts
            ),
            start_to_close_timeout=SUMMARISE_TIMEOUT,
            heartbeat_timeout=SUMMARISE_HEARTBEAT_TIMEOUT,
            retry_policy=SUMMARISE_RETRY,
        )
    except ActivityError as error:
        workflow.logger.warning("No report: %s", error.cause)
