"""The schedule of retention in Temporal: one for each namespace, set by whichever web process starts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from orchestration.contracts.dashboard_activities import PruneInput
from orchestration.contracts.names import CHILD_TASK_QUEUE, PRUNE_WORKFLOW
from orchestration.temporal.commands import commanded, require_answer
from orchestration.temporal.connection import RPC_TIMEOUT, unavailable

PRUNE_SCHEDULE = "canopy-retention"


class PruneSchedule:
    """The schedule of retention. Every call may raise TemporalUnavailable."""

    def __init__(self, client: Callable[[], Awaitable[Client]]) -> None:
        self._client = client

    async def set(self, cron: str) -> None:
        """Have it run at these times, in UTC; without any it only runs when it is triggered."""
        client, wanted = await self._client(), _schedule(cron)

        def change(given: ScheduleUpdateInput) -> ScheduleUpdate:
            wanted.state = given.description.schedule.state
            return ScheduleUpdate(wanted)

        with unavailable():
            try:
                await client.create_schedule(PRUNE_SCHEDULE, wanted, rpc_timeout=RPC_TIMEOUT)
            except ScheduleAlreadyRunningError:
                await client.get_schedule_handle(PRUNE_SCHEDULE).update(change, rpc_timeout=RPC_TIMEOUT)

    async def run_now(self, by: str) -> None:
        """Start a run for a person, unless one that a person asked for runs. A schedule's own trigger has no input."""
        client = await self._client()
        await require_answer(client)
        with commanded():
            await client.start_workflow(
                PRUNE_WORKFLOW,
                PruneInput(by),
                id=f"{PRUNE_SCHEDULE}/asked",
                task_queue=CHILD_TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                rpc_timeout=RPC_TIMEOUT,
            )

    async def next_time(self) -> datetime | None:
        """Return when it runs next; None where it does not."""
        handle = (await self._client()).get_schedule_handle(PRUNE_SCHEDULE)
        with unavailable():
            try:
                described = await handle.describe(rpc_timeout=RPC_TIMEOUT)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise
        return None if described.schedule.state.paused else next(iter(described.info.next_action_times), None)


def _schedule(cron: str) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            PRUNE_WORKFLOW, PruneInput(), id=f"{PRUNE_SCHEDULE}/run", task_queue=CHILD_TASK_QUEUE
        ),
        spec=ScheduleSpec(cron_expressions=[cron] if cron else []),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
