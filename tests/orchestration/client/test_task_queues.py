"""Workers: one is alive while both its process and its Python send heartbeats."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import RecordWorkerHeartbeatRequest
from temporalio.client import Client

from orchestration.client.task_queues import (
    PYTHON_LOST_AFTER,
    WORKER_LOST_AFTER,
    QueueKind,
    Slots,
    WorkerSnapshot,
    list_workers,
)
from orchestration.temporal.python_beats import PythonBeats
from orchestration.temporal.runtime import HEARTBEAT_INTERVAL

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def worker(process: float, python: float | None) -> WorkerSnapshot:
    """Return a worker whose last heartbeats are some seconds old."""
    return WorkerSnapshot(
        identity="7@host",
        queue="canopy",
        heartbeat_at=NOW - timedelta(seconds=process),
        interval=HEARTBEAT_INTERVAL,
        slots={kind: Slots(1, 0) for kind in QueueKind},
        memory=0.5,
        has_stopped=False,
        python_at=None if python is None else NOW - timedelta(seconds=python),
    )


def test_a_worker_whose_python_is_silent_is_lost_and_frozen_while_its_process_goes_on() -> None:
    silent = PYTHON_LOST_AFTER.total_seconds() + 1
    assert timedelta(seconds=15) > PYTHON_LOST_AFTER
    found = {
        name: (each.is_lost(NOW), each.is_lost(NOW) and each.is_frozen)
        for name, each in {
            "works": worker(1, 2),
            "is slow": worker(1, 8),
            "of another program": worker(1, None),
            "frozen": worker(1, silent),
            "killed": worker(WORKER_LOST_AFTER + 1, WORKER_LOST_AFTER + 2),
            "killed, and of another program": worker(WORKER_LOST_AFTER + 1, None),
        }.items()
    }
    assert found == {
        "works": (False, False),
        "is slow": (False, False),
        "of another program": (False, False),
        "frozen": (True, True),
        "killed": (True, False),
        "killed, and of another program": (True, False),
    }
    assert worker(1, silent).last_sign == NOW - timedelta(seconds=silent)


async def test_what_python_tells_is_listed_with_the_worker_that_sends_it(temporal_client: Client) -> None:
    queue = "python-beats"
    beats = PythonBeats(temporal_client, [queue, "python-beats-too"], lambda: Counter({"web_page": 3}))
    assert await beats.send()
    assert await list_workers(temporal_client, queue) == [], "Python alone makes no worker"
    native = WorkerHeartbeat(worker_instance_key="native", worker_identity=beats.identity, task_queue=queue)
    native.heartbeat_time.FromDatetime(datetime.now(UTC))
    await temporal_client.workflow_service.record_worker_heartbeat(
        RecordWorkerHeartbeatRequest(namespace=temporal_client.namespace, worker_heartbeat=[native])
    )
    (found,) = await list_workers(temporal_client, queue)
    assert found.python_at is not None
    assert (found.stuck, found.lag) == ({"web_page": 3}, 0.0)
    assert not found.is_frozen
