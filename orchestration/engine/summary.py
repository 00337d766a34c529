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
    from orchestration.engine.attempt import attempt_id
    from orchestration.engine.store_activities import run_store_activity
    from orchestration.engine.units.factory import Units

SUMMARISE_RETRY = RetryPolicy(maximum_attempts=10, maximum_interval=timedelta(seconds=10))
"""For a report that cannot be written, or a lost worker."""


async def summarise(given: FanOutInput, failure: Failure | None, units: Units) -> None:
    """Have a report written where the plan asks for one. A report that fails does not fail the batch."""
    if not (given.is_root and given.plan.summarise):
        return
    outcome, reason = (Status.FAILED, failure.message) if failure else (Status.COMPLETED, "")
    run_id, counts = attempt_id(given.attempt_id), units.result().counts
    wanted = SummariseInput(given.batch_id, run_id, outcome, reason, counts)
    try:
        await run_store_activity(SUMMARISE_ACTIVITY, wanted, retry=SUMMARISE_RETRY)
    except ActivityError as error:
        workflow.logger.warning("No report: %s", error.cause)
