"""What a worker process had open when it ended is reported lost by the process that replaces it."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestration.temporal.open_activities import OpenActivities
from tests.support.waiting import until

HOUR = timedelta(hours=1)


@workflow.defn
class Waits:
    """Runs one activity, which is tried twice."""

    @workflow.run
    async def run(self) -> int:
        """Return the attempt that came to an end."""
        retry = RetryPolicy(initial_interval=timedelta(milliseconds=1), maximum_attempts=2)
        attempt: int = await workflow.execute_activity(
            "attempt", start_to_close_timeout=HOUR, heartbeat_timeout=HOUR, retry_policy=retry, result_type=int
        )
        return attempt


async def test_a_new_process_reports_what_was_lost_long_before_its_heartbeat_timeout(
    temporal_client: Client, tmp_path: Path
) -> None:
    begun = list[int]()

    @activity.defn(name="attempt")
    async def attempt() -> int:
        begun.append(activity.info().attempt)
        if activity.info().attempt == 1:
            await asyncio.Event().wait()
        return activity.info().attempt

    def open_now() -> list[Path]:
        return list(tmp_path.iterdir())

    async def is_noted() -> bool:
        return bool(begun) and len(open_now()) == 1

    queue, noted = secrets.token_hex(4), OpenActivities(tmp_path)
    async with Worker(
        temporal_client,
        task_queue=queue,
        workflows=[Waits],
        activities=[attempt],
        interceptors=[noted],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        handle = await temporal_client.start_workflow(Waits.run, id=queue, task_queue=queue)
        await until(is_noted, "the first attempt is noted")
        await noted.report_lost(temporal_client)
        async with asyncio.timeout(60):
            assert await handle.result() == 2
    assert begun == [1, 2]
    assert open_now() == []
