"""How a step is run by an activity, again where its worker was lost with it. Workflow code: deterministic."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.flows import StepInput
    from orchestration.contracts.names import RUN_STEP_ACTIVITY, RUN_STEP_OVER_STORED_ACTIVITY
    from orchestration.contracts.patches import LOST_STEP_AGAIN
    from orchestration.engine.cancellation import result_of
    from orchestration.engine.store_activities import HEARTBEAT_TIMEOUT
    from orchestration.plan.plan import Plan
    from orchestration.temporal.worker_loss import is_lost

STEP_MARGIN = timedelta(seconds=10)
"""Beyond the step's own timeout, for a worker that is lost."""

MAX_LOST = 20
"""Activities of one step that are lost. One that ends its worker is counted out after three of its own; neighbours that
do so as well cost it the rest, each of them three."""


async def run_step(step: StepInput, plan: Plan) -> Any:
    """Run a step with the plan's attempts and timeout; return its result as data. Raises what it failed with.

    An activity whose worker was lost with its last attempt is no failure of the step, which may have run beside the one
    that ended the worker. One that ends its worker itself is counted out where it runs.
    """
    for lost in range(1, MAX_LOST + 1):
        try:
            return await result_of(_start(step, plan))
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            may_follow = is_lost(error) and lost < MAX_LOST and workflow.patched(LOST_STEP_AGAIN)
            if not may_follow and isinstance(error.cause, ApplicationError):
                raise error.cause from error
            if not may_follow:
                raise
        step = replace(step, after_loss=True)
    raise AssertionError("The last activity's error is raised.")


def _start(step: StepInput, plan: Plan) -> workflow.ActivityHandle[Any]:
    return workflow.start_activity(
        RUN_STEP_OVER_STORED_ACTIVITY if step.results else RUN_STEP_ACTIVITY,
        step,
        result_type=object,
        task_queue=plan.task_queue,
        start_to_close_timeout=timedelta(seconds=plan.item_timeout) + STEP_MARGIN,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(seconds=plan.item_backoff or 0.001),
            maximum_attempts=plan.item_attempts,
            non_retryable_error_types=plan.non_retryable_types,
        ),
        summary=step.name,
    )
