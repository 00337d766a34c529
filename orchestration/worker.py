"""Worker processes: the workflows and activities they register, their limits, and their shutdown."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from temporalio.client import Client
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig, WorkflowRunner

from orchestration.activities.activity_context import ActivityContext
from orchestration.activities.await_batch import waiting_worker
from orchestration.activities.chunks import ChunkActivities
from orchestration.client.builds import make_first_current
from orchestration.contracts.names import (
    CHILD_TASK_QUEUE,
    PROCESS_ITEM_ACTIVITY,
    RUN_STEP_ACTIVITY,
    RUN_STEP_OVER_STORED_ACTIVITY,
    SCHEDULE_TASK_QUEUE,
)
from orchestration.processors import catalogue, worker_setup
from orchestration.processors.builtin.program_start import warn_of_programs_as_root
from orchestration.processors.data.connections import connection_names
from orchestration.processors.secrets import (
    mask_logs,
    register_own_secrets,
    register_secret,
    warn_of_secrets_without_scope,
)
from orchestration.processors.stuck import stuck_threads
from orchestration.processors.worker_loop import LoopWatch
from orchestration.telemetry import tracing, worker_metrics
from orchestration.telemetry.process_endpoint import ProcessEndpoint
from orchestration.telemetry.worker_health import WorkerHealth
from orchestration.temporal.alive_file import touch_until_canceled
from orchestration.temporal.connection import Connection, connect_with_retries
from orchestration.temporal.deployment import deployment_of_environment
from orchestration.temporal.handing_on import HandingOn
from orchestration.temporal.open_activities import OpenActivities
from orchestration.temporal.python_beats import PythonBeats
from orchestration.temporal.renewal import keep_current
from orchestration.temporal.runtime import runtime
from orchestration.temporal.stopping import Stopping, end_process
from orchestration.workflows.chunk import ChunkWorkflow
from orchestration.workflows.delegate import DelegateWorkflow
from orchestration.workflows.entity import EntityWorkflow
from orchestration.workflows.fan_out import FanOutWorkflow
from orchestration.workflows.notification import NotificationWorkflow
from orchestration.workflows.pipeline import PipelineWorkflow
from orchestration.workflows.pool_worker import PoolWorkerWorkflow
from orchestration.workflows.prune import PruneWorkflow
from orchestration.workflows.resource_hold import ResourceHoldWorkflow
from orchestration.workflows.saga import ItemSagaWorkflow, SagaWorkflow
from orchestration.workflows.scheduled_launch import ScheduledLaunchWorkflow
from orchestration.workflows.services import ServicesWorkflow, ServiceWorkflow
from orchestration.workflows.steps import StepsWorkflow

log = logging.getLogger(__name__)
T = TypeVar("T")

OPEN_ACTIVITIES = "CANOPY_OPEN_ACTIVITIES"

HTTP_ADDRESS = "CANOPY_WORKER_HTTP"
"""Environment: where the process answers probes and Prometheus, such as 0.0.0.0:9090; nowhere by default."""

WORKFLOWS = (
    EntityWorkflow,
    PipelineWorkflow,
    PoolWorkerWorkflow,
    ResourceHoldWorkflow,
    SagaWorkflow,
    ItemSagaWorkflow,
    ServicesWorkflow,
    ServiceWorkflow,
    StepsWorkflow,
    FanOutWorkflow,
    ChunkWorkflow,
    DelegateWorkflow,
    ScheduledLaunchWorkflow,
    NotificationWorkflow,
    PruneWorkflow,
)
HEARTBEAT_THROTTLE = timedelta(seconds=3)
"""Longest interval between heartbeats: their answers carry cancellations. The SDK's own limit is higher."""

STICKY_TIMEOUT = timedelta(seconds=4)
"""How long a workflow waits for the worker that has it in its cache, before any worker may take it: one that was lost
does not come back. Temporal's default is 10 s."""

CONCURRENT_CHUNKS = 200
CONCURRENT_WORKFLOW_TASKS = 400
"""More than chunks: tasks that run a chunk in a local activity stay open for a while, and must not block parents."""

CACHED_WORKFLOWS = 1_000
GRACE = timedelta(seconds=5)
"""Default time for running items to finish at shutdown; other workers go on with all others at once."""

STARTED_ANEW = (PROCESS_ITEM_ACTIVITY, RUN_STEP_ACTIVITY, RUN_STEP_OVER_STORED_ACTIVITY)
"""Activities whose attempts are an item's or a step's own: one that is handed on is started again by its workflow."""

SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread gives up the interpreter lock, a tenth of the default: workflows, items and the database
have threads of their own, and switch several times for each child."""


def build_workers(
    client: Client,
    activities: ChunkActivities,
    *,
    queues: Sequence[str] = (CHILD_TASK_QUEUE,),
    workflow_runner: WorkflowRunner | None = None,
    grace: timedelta = GRACE,
    interceptors: Sequence[Interceptor] = (),
    deployment: WorkerDeploymentConfig | None = None,
) -> list[Worker]:
    """Return one worker for each queue. Workflows run on CHILD_TASK_QUEUE alone.

    It alone has builds, by default that of the environment. Unsandboxed by default: the sandbox costs 9 ms of CPU for
    each child. Tests run in it.
    """
    return [
        Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS if queue == CHILD_TASK_QUEUE else (),
            activities=activities.all,
            workflow_runner=workflow_runner or UnsandboxedWorkflowRunner(),
            max_cached_workflows=CACHED_WORKFLOWS,
            max_concurrent_activities=CONCURRENT_CHUNKS,
            max_concurrent_local_activities=CONCURRENT_CHUNKS,
            max_concurrent_workflow_tasks=CONCURRENT_WORKFLOW_TASKS,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
            graceful_shutdown_timeout=grace,
            interceptors=[ActivityContext(), HandingOn(STARTED_ANEW), *interceptors],
            deployment_config=(deployment or deployment_of_environment()) if queue == CHILD_TASK_QUEUE else None,
        )
        for queue in queues
    ]


def serve(connection: Connection, activities: ChunkActivities, queues: Sequence[str], grace: timedelta) -> NoReturn:
    """Serve the queues until a signal asks for the end, then end the process: with 0, or as `temporal.stopping` says.

    In the folder of the environment's CANOPY_OPEN_ACTIVITIES, if it is set, a process that replaces this one finds what
    was lost with it.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.freeze()  # modules stay loaded: the collector need not scan them again
    tracing.configure("canopy-worker")
    asyncio.run(_serve(connection, activities, queues, grace))
    tracing.stop()
    logging.shutdown()
    end_process()


def _guard_secrets(connection: Connection) -> None:
    """Mask secrets in logs, and log what the configuration leaves open: secrets, databases, programs as root."""
    register_own_secrets()
    register_secret(connection.api_key)  # also of a file or a profile
    mask_logs()
    warn_of_secrets_without_scope()
    warn_of_programs_as_root()
    if connection_names():
        threading.Thread(target=_examine_connections, name="examine-connections", daemon=True).start()


def _examine_connections() -> None:
    from orchestration.processors.data.databases import examine_connections  # on first use: SQLAlchemy

    examine_connections()


async def _serve(connection: Connection, activities: ChunkActivities, queues: Sequence[str], grace: timedelta) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    stopping = Stopping(lambda number, frame: _ask(loop, stop), grace.total_seconds())
    stopping.take_signals()
    folder = os.environ.get(OPEN_ACTIVITIES)
    noted = OpenActivities(Path(folder)) if folder else None
    alive, health = asyncio.create_task(touch_until_canceled()), WorkerHealth(activities.ping_store)
    worker_metrics.stuck_threads.count_with(stuck_threads)
    endpoint = ProcessEndpoint.of_environment(
        HTTP_ADDRESS, lambda: health.checks, is_draining=lambda: stopping.has_begun
    )
    try:
        await run_worker(connection, activities, stop, queues=queues, grace=grace, noted=noted, health=health)
    finally:
        alive.cancel()
        if endpoint is not None:
            endpoint.close()


def _ask(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    loop.call_soon_threadsafe(stop.set)


async def run_worker(
    connection: Connection,
    activities: ChunkActivities,
    stop: asyncio.Event,
    *,
    queues: Sequence[str] = (CHILD_TASK_QUEUE,),
    grace: timedelta = GRACE,
    noted: OpenActivities | None = None,
    health: WorkerHealth | None = None,
) -> None:
    """Serve the queues until `stop` is set, then finish open chunks within `grace`; `health` is told what there is."""
    catalogue.load()
    _guard_secrets(connection)
    if (client := await _unless(stop, connect_with_retries(connection, runtime=runtime()))) is None:
        return
    beats = _beats_of(client, queues)
    await beats.send()
    if noted is not None:
        await noted.report_lost(client)
    workers = build_workers(client, activities, queues=queues, grace=grace, interceptors=[noted] if noted else [])
    if CHILD_TASK_QUEUE in queues:
        workers.append(waiting_worker(client))
    if health is not None:
        health.have(client, workers)
    running = [asyncio.create_task(worker.run()) for worker in workers]
    log.info("Worker polls %s at %s.", ", ".join(queues), connection.address)
    stopped, watch = asyncio.create_task(stop.wait()), LoopWatch()
    also = beats.send_until_canceled(), keep_current(client, connection, [beats, *workers])
    background = [asyncio.create_task(each) for each in (*also, _begin_build(client, queues))]
    try:
        await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        watch.stop()
        await _shut_down(workers, activities)
        await asyncio.gather(*running)
        await worker_setup.shutdown()
        for task in background:
            task.cancel()
        activities.close()


async def _begin_build(client: Client, queues: Sequence[str]) -> None:
    """See to it that the deployment has a current build, if there is one."""
    if CHILD_TASK_QUEUE in queues and (own := deployment_of_environment()) is not None:
        await make_first_current(client, own.version.deployment_name, own.version.build_id)


async def _shut_down(workers: Sequence[Worker], activities: ChunkActivities) -> None:
    ending = [asyncio.create_task(worker.shutdown()) for worker in workers]
    await asyncio.sleep(0)  # from here on they poll no more: what is handed on goes to others
    activities.stop()
    await asyncio.gather(*ending)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what comes of work, or None where the worker is to stop before."""
    stopped, task = asyncio.create_task(stop.wait()), asyncio.create_task(work)
    try:
        await asyncio.wait([stopped, task], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        stopped.cancel()
        task.cancel()


def _beats_of(client: Client, queues: Sequence[str]) -> PythonBeats:
    """Return the heartbeats of this process, also for the queue that waiting_worker serves beside workflows."""
    waiting = [SCHEDULE_TASK_QUEUE] if CHILD_TASK_QUEUE in queues else []
    return PythonBeats(client, [*queues, *waiting], stuck_threads)
