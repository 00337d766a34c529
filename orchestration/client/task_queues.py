"""Task queues: who polls one, whether they are alive, and why what waits there is not picked up.

A killed worker stays listed as a poller for minutes. What tells is the age of its heartbeat, and of the backlog.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListWorkersRequest
from temporalio.client import Client

from orchestration.temporal.connection import RPC_TIMEOUT, unavailable

DEFAULT_HEARTBEAT = timedelta(seconds=60)
"""Between heartbeats of a worker that says nothing else; Temporal's default."""

MISSED_HEARTBEATS = 4
"""Heartbeats that a worker may miss before it counts as lost: 8 s for ours."""

POLLER_EXPIRY = timedelta(seconds=75)
"""A poll that finds nothing comes back after 60 s: a poller not seen for longer does not poll."""

INTERNAL = ("temporal-sys", "default-worker-tq")
"""How the names of queues begin that Temporal keeps for itself."""


class QueueKind(StrEnum):
    """A task queue is two: one of workflow tasks, one of activities."""

    WORKFLOW = "workflow"
    ACTIVITY = "activity"


QUEUE_TYPES = {
    QueueKind.WORKFLOW: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    QueueKind.ACTIVITY: TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}


@dataclass(frozen=True)
class Slots:
    """Places of a worker for tasks of one kind; none available and none used where it does not serve that kind."""

    available: int
    used: int

    @property
    def total(self) -> int:
        """How many there are."""
        return self.available + self.used

    @property
    def are_full(self) -> bool:
        """Whether no further task finds a place."""
        return self.available == 0 and self.used > 0


@dataclass(frozen=True)
class WorkerSnapshot:
    """A worker as its last heartbeat tells it. `memory` is the used share of its host's, from 0 to 1."""

    identity: str
    queue: str
    beat_at: datetime
    interval: timedelta
    slots: dict[QueueKind, Slots]
    memory: float
    has_stopped: bool

    def is_silent(self, now: datetime) -> bool:
        """Whether its heartbeat is overdue."""
        return now - self.beat_at > MISSED_HEARTBEATS * self.interval


@dataclass(frozen=True)
class QueueSnapshot:
    """A task queue: identities that poll, workers that are listed as pollers but silent, and what waits how long."""

    name: str
    kind: QueueKind
    polling: Sequence[str]
    workers: Sequence[WorkerSnapshot]
    silent: Sequence[WorkerSnapshot]
    backlog: int = 0
    backlog_age: timedelta = timedelta()


def time_of(stamp: Timestamp) -> datetime:
    """Return a protobuf time as ours."""
    return stamp.ToDatetime(tzinfo=UTC)


async def list_workers(client: Client) -> list[WorkerSnapshot]:
    """Return the newest heartbeat of every worker that the namespace knows."""
    found, token = list[WorkerSnapshot](), b""
    while True:
        page = await client.workflow_service.list_workers(
            ListWorkersRequest(namespace=client.namespace, next_page_token=token), timeout=RPC_TIMEOUT
        )
        found += [_worker_seen(info.worker_heartbeat) for info in page.workers_info]
        token = page.next_page_token
        if not token:
            return found


def _worker_seen(beat: WorkerHeartbeat) -> WorkerSnapshot:
    workflow, activity = beat.workflow_task_slots_info, beat.activity_task_slots_info
    return WorkerSnapshot(
        identity=beat.worker_identity,
        queue=beat.task_queue,
        beat_at=time_of(beat.heartbeat_time),
        interval=beat.elapsed_since_last_heartbeat.ToTimedelta() or DEFAULT_HEARTBEAT,
        slots={
            QueueKind.WORKFLOW: Slots(workflow.current_available_slots, workflow.current_used_slots),
            QueueKind.ACTIVITY: Slots(activity.current_available_slots, activity.current_used_slots),
        },
        memory=beat.host_info.current_host_mem_usage,
        has_stopped=beat.status in (WorkerStatus.WORKER_STATUS_SHUTDOWN, WorkerStatus.WORKER_STATUS_SHUTTING_DOWN),
    )


async def describe_queue(
    client: Client, name: str, kind: QueueKind, workers: Sequence[WorkerSnapshot], now: datetime
) -> QueueSnapshot:
    """Ask who polls a queue, and hold it against the workers' heartbeats."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=name),
            task_queue_type=QUEUE_TYPES[kind],
            report_stats=True,
        ),
        timeout=RPC_TIMEOUT,
    )
    known = {
        worker.identity: worker for worker in sorted(workers, key=lambda each: each.beat_at) if worker.queue == name
    }
    polling, silent = list[str](), list[WorkerSnapshot]()
    for poller in answer.pollers:
        worker = known.get(poller.identity)
        if worker is not None and worker.has_stopped:
            continue
        if worker is not None and worker.is_silent(now):
            silent.append(worker)
        elif now - time_of(poller.last_access_time) < POLLER_EXPIRY:
            polling.append(poller.identity)
    alive = [known[identity] for identity in polling if identity in known]
    stats = answer.stats
    age = stats.approximate_backlog_age.ToTimedelta()
    return QueueSnapshot(name, kind, polling, alive, silent, stats.approximate_backlog_count, age)


async def describe_queues(client: Client, names: Iterable[str]) -> list[QueueSnapshot]:
    """Look at both kinds of the queues that are named, and of those that a living worker serves, by name.

    Raises TemporalUnavailable.
    """
    with unavailable():
        now, workers = datetime.now(UTC), await list_workers(client)
        served = {worker.queue for worker in workers if not worker.has_stopped and not worker.is_silent(now)}
        looks = [
            describe_queue(client, name, kind, workers, now)
            for name in sorted(served | set(names))
            if not name.startswith(INTERNAL)
            for kind in QueueKind
        ]
        return list(await asyncio.gather(*looks))
