"""What a schedule starts, in the sandbox on a real Temporal: one batch whatever is tried again, open while that is."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.worker import Worker

from orchestration.activities.await_batch import waiting_worker
from orchestration.contracts.dashboard_activities import DueLaunch, LaunchedBatch, ScheduledLaunchInput
from orchestration.contracts.names import CHILD_TASK_QUEUE, DASHBOARD_TASK_QUEUE, LAUNCH_SCHEDULED_ACTIVITY
from orchestration.workflows.scheduled_launch import ScheduledLaunchWorkflow
from tests.support.engine import Engine, Run
from tests.support.probe import Probe
from tests.support.waiting import until


@dataclass
class Dashboard:
    """Stands for the dashboard: launches a batch that waits at its gate, once its first try has failed."""

    engine: Engine
    due: list[DueLaunch] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    probe: Probe = field(default_factory=Probe)

    @activity.defn(name=LAUNCH_SCHEDULED_ACTIVITY)
    async def launch_scheduled(self, due: DueLaunch) -> LaunchedBatch:
        """Launch."""
        self.due.append(due)
        if len(self.due) == 1:
            raise RuntimeError("The database was away.")
        self.probe.gate.clear()
        self.runs.append(await self.engine.launch(1, self.probe))
        return LaunchedBatch(self.runs[-1].id)


@pytest.fixture
async def dashboard(deaf_engine: Engine) -> AsyncIterator[Dashboard]:
    """A dashboard that launches, and a worker that waits."""
    told = Dashboard(deaf_engine)
    client = deaf_engine.client
    worker = Worker(client, task_queue=DASHBOARD_TASK_QUEUE, activities=[told.launch_scheduled])
    async with worker, waiting_worker(client):
        yield told


@pytest.fixture
async def started(
    dashboard: Dashboard, temporal_client: Client
) -> WorkflowHandle[ScheduledLaunchWorkflow, LaunchedBatch]:
    """What a schedule starts, once its batch runs."""
    handle = await temporal_client.start_workflow(
        ScheduledLaunchWorkflow.run,
        ScheduledLaunchInput("s"),
        id=f"schedule-s/{secrets.token_hex(4)}",
        task_queue=CHILD_TASK_QUEUE,
    )

    async def runs() -> bool:
        return bool(dashboard.runs)

    await until(runs, "the batch is launched")
    await dashboard.runs[0].calls(1)
    return handle


async def test_another_try_has_the_same_key_and_it_ends_with_its_batch(
    dashboard: Dashboard, started: WorkflowHandle[ScheduledLaunchWorkflow, LaunchedBatch]
) -> None:
    assert len({due.key for due in dashboard.due}) == 1
    assert len(dashboard.due) == 2
    assert (await started.describe()).status is WorkflowExecutionStatus.RUNNING
    dashboard.probe.gate.set()
    await dashboard.runs[0].result()
    assert await started.result() == LaunchedBatch(dashboard.runs[0].id)


async def test_canceled_it_cancels_its_batch_and_waits_for_its_end(
    dashboard: Dashboard, started: WorkflowHandle[ScheduledLaunchWorkflow, LaunchedBatch]
) -> None:
    await started.cancel()
    await started.result()
    root = await dashboard.runs[0].root.describe()
    assert root.status is WorkflowExecutionStatus.CANCELED
    dashboard.probe.gate.set()
