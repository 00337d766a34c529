"""Task queues and workers: who polls a queue, which workers are lost, and how much waits for how long.

A killed worker stays listed as a poller for minutes, so the age of its last heartbeat decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, ListWorkersRequest
from temporalio.client import Client

from orchestration.client.heartbeats import Heartbeats
from orchestration.temporal.connection import RPC_TIMEOUT, unavailable
from orchestration.temporal.protobuf import to_datetime
from orchestration.temporal.python_beats import BEAT_EVERY, is_python_beat, loop_lag_of, stuck_threads_of
from orchestration.temporal.runtime import HEARTBEAT_INTERVAL

DEFAULT_HEARTBEAT = timedelta(seconds=60)
"""Between heartbeats of a worker that has sent only one; Temporal's default."""

MISSED_HEARTBEATS = 4
"""Heartbeats in a row without which a worker counts as lost, at its own interval."""

PYTHON_LOST_AFTER = MISSED_HEARTBEATS * BEAT_EVERY
"""Without a heartbeat of its Python, after which a worker counts as lost."""

WORKER_LOST_AFTER = MISSED_HEARTBEATS * HEARTBEAT_INTERVAL.total_seconds()
"""Seconds without a heartbeat after which a worker of ours counts as lost."""

POLLER_EXPIRY = timedelta(seconds=75)
"""A poll that finds nothing returns after 60 s: a poller last seen longer ago has stopped polling."""

heartbeats = Heartbeats()
"""Of the workers that this process has seen."""

INTERNAL = ("temporal-sys", "default-worker-tq")
"""Prefixes of the queues that Temporal itself uses."""


class QueueKind(StrEnum):
    """Behind the name of a task queue are two queues: one of workflow tasks, one of activities."""

    WORKFLOW = "workflow"
    ACTIVITY = "activity"


QUEUE_TYPES = {
    QueueKind.WORKFLOW: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    QueueKind.ACTIVITY: TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}


@dataclass(frozen=True)
class Slots:
    """Slots of a worker for tasks of one kind; both numbers are 0 where it does not serve that kind."""

    available: int
    used: int

    @property
    def total(self) -> int:
        """Number of slots."""
        return self.available + self.used

    @property
    def are_full(self) -> bool:
        """Whether every slot is used."""
        return self.available == 0 and self.used > 0


@dataclass(frozen=True)
class WorkerSnapshot:
    """A worker as of its last heartbeat, the time of which is by the clock of whoever asks.

    `memory` is the used share of its host's memory, from 0 to 1. `python_at` is the time of the last heartbeat that its
    Python has sent, `stuck` the number of its stuck threads by processor, and `lag` by how many seconds its event loop
    was late; workers of other programs tell none of these.
    """

    identity: str
    queue: str
    heartbeat_at: datetime
    interval: timedelta
    slots: dict[QueueKind, Slots]
    memory: float
    has_stopped: bool
    python_at: datetime | None = None
    stuck: Mapping[str, int] = field(default_factory=dict)
    lag: float = 0.0

    @property
    def last_sign(self) -> datetime:
        """When it was last known to work."""
        return min(self.heartbeat_at, self.python_at or self.heartbeat_at)

    @property
    def is_frozen(self) -> bool:
        """Whether its process has gone on sending heartbeats after its Python had stopped."""
        return self.python_at is not None and self.heartbeat_at - self.python_at > PYTHON_LOST_AFTER / 2

    def is_lost(self, now: datetime) -> bool:
        """Whether its Python or its process has missed MISSED_HEARTBEATS."""
        if self.python_at is not None and now - self.python_at > PYTHON_LOST_AFTER:
            return True
        return now - self.heartbeat_at > MISSED_HEARTBEATS * self.interval


@dataclass(frozen=True)
class QueueSnapshot:
    """One queue: identities of its live pollers, the workers among them, pollers that are lost, and the backlog.

    `workers` has those of `pollers` that send heartbeats.
    """

    name: str
    kind: QueueKind
    pollers: Sequence[str]
    workers: Sequence[WorkerSnapshot]
    lost_workers: Sequence[WorkerSnapshot]
    backlog: int = 0
    backlog_age: timedelta = timedelta()


async def list_workers(client: Client, queue: str = "") -> list[WorkerSnapshot]:
    """Return the workers of the namespace, or of one task queue, each as of its newest heartbeat."""
    query = f"TaskQueue = '{queue}'" if queue else ""
    native, of_python, token = list[WorkerSnapshot](), dict[tuple[str, str], _PythonBeat](), b""
    while True:
        page = await client.workflow_service.list_workers(
            ListWorkersRequest(namespace=client.namespace, next_page_token=token, query=query), timeout=RPC_TIMEOUT
        )
        now = datetime.now(UTC)
        for info in page.workers_info:
            beat = info.worker_heartbeat
            if is_python_beat(beat):
                sender, sent = (beat.worker_identity, beat.task_queue), _PythonBeat.of(beat, now)
                of_python[sender] = max(sent, of_python.get(sender, sent), key=lambda each: each.at)
            else:
                native.append(_worker_of(beat, now))
        token = page.next_page_token
        if not token:
            return [_with_python(each, of_python.get((each.identity, each.queue))) for each in native]


@dataclass(frozen=True)
class _PythonBeat:
    """When the Python of a worker sent its last heartbeat, and what it told."""

    at: datetime
    stuck: Mapping[str, int]
    lag: float

    @classmethod
    def of(cls, beat: WorkerHeartbeat, now: datetime) -> _PythonBeat:
        age = heartbeats.age(beat.worker_instance_key, to_datetime(beat.heartbeat_time), BEAT_EVERY, now)
        return cls(now - age, stuck_threads_of(beat), loop_lag_of(beat))


def _with_python(worker: WorkerSnapshot, beat: _PythonBeat | None) -> WorkerSnapshot:
    return worker if beat is None else replace(worker, python_at=beat.at, stuck=beat.stuck, lag=beat.lag)


def _worker_of(beat: WorkerHeartbeat, now: datetime) -> WorkerSnapshot:
    interval = beat.elapsed_since_last_heartbeat.ToTimedelta() or DEFAULT_HEARTBEAT
    workflow, activity = beat.workflow_task_slots_info, beat.activity_task_slots_info
    return WorkerSnapshot(
        identity=beat.worker_identity,
        queue=beat.task_queue,
        heartbeat_at=now - heartbeats.age(beat.worker_instance_key, to_datetime(beat.heartbeat_time), interval, now),
        interval=interval,
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
    """Describe a queue, and sort its pollers by the workers' heartbeats into live and lost ones."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=name),
            task_queue_type=QUEUE_TYPES[kind],
            report_stats=True,
        ),
        timeout=RPC_TIMEOUT,
    )
    oldest_first = sorted(workers, key=lambda worker: worker.heartbeat_at)
    known = {worker.identity: worker for worker in oldest_first if worker.queue == name}
    pollers, lost = list[str](), list[WorkerSnapshot]()
    for poller in answer.pollers:
        worker = known.get(poller.identity)
        if worker is not None and worker.has_stopped:
            continue
        if worker is not None and worker.is_lost(now):
            lost.append(worker)
        elif worker is not None or now - to_datetime(poller.last_access_time) < POLLER_EXPIRY:
            pollers.append(poller.identity)
    alive = [known[identity] for identity in pollers if identity in known]
    stats = answer.stats
    age = stats.approximate_backlog_age.ToTimedelta()
    return QueueSnapshot(name, kind, pollers, alive, lost, stats.approximate_backlog_count, age)


async def without_workers(client: Client, names: Iterable[str]) -> set[str]:
    """Return those of the named queues in which tasks wait and that no live worker serves. Raises TemporalUnavailable.

    A worker with all its slots in use does not poll: a heartbeat is enough. One that has just taken the identity of a
    worker that stopped may look as if it had stopped: then nothing waits.
    """
    with unavailable():
        now, workers = datetime.now(UTC), await list_workers(client)
        served = {worker.queue for worker in workers if not worker.has_stopped and not worker.is_lost(now)}
        silent = sorted(set(names) - served)
        described = [describe_queue(client, name, kind, workers, now) for name in silent for kind in QueueKind]
        queues = await asyncio.gather(*described)
        waiting = {queue.name for queue in queues if queue.backlog}
        return waiting - {queue.name for queue in queues if queue.pollers}


async def describe_queues(client: Client, names: Iterable[str]) -> list[QueueSnapshot]:
    """Describe the named queues and those that a live worker serves, both kinds of each, by name.

    Raises TemporalUnavailable.
    """
    with unavailable():
        now, workers = datetime.now(UTC), await list_workers(client)
        served = {worker.queue for worker in workers if not worker.has_stopped and not worker.is_lost(now)}
        descriptions = [
            describe_queue(client, name, kind, workers, now)
            for name in sorted(served | set(names))
            if not name.startswith(INTERNAL)
            for kind in QueueKind
        ]
        return list(await asyncio.gather(*descriptions))
