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

from orchestration.connection import RPC_TIMEOUT, unavailable
from orchestration.findings import Finding, FindingCode, Severity
from orchestration.wording import _

DEFAULT_HEARTBEAT = timedelta(seconds=60)
"""Between heartbeats of a worker that says nothing else; Temporal's default."""

BEATS_MISSED = 4
"""Heartbeats that a worker may miss before it counts as lost: 8 s for ours."""

POLL_LASTS = timedelta(seconds=75)
"""A poll that finds nothing comes back after 60 s: a poller not seen for longer does not poll."""

INTERNAL = ("temporal-sys", "default-worker-tq")
"""How the names of queues begin that Temporal keeps for itself."""

MEMORY_SHORT = 0.93
"""Share of a host's memory above which a worker is said to be short of it."""


class Kind(StrEnum):
    """A task queue is two: one of workflow tasks, one of activities."""

    WORKFLOW = "workflow"
    ACTIVITY = "activity"


KINDS = {
    Kind.WORKFLOW: TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    Kind.ACTIVITY: TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
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
class WorkerSeen:
    """A worker as its last heartbeat tells it. `memory` is the used share of its host's, from 0 to 1."""

    identity: str
    queue: str
    beat_at: datetime
    interval: timedelta
    slots: dict[Kind, Slots]
    memory: float
    has_stopped: bool

    def is_silent(self, now: datetime) -> bool:
        """Whether its heartbeat is overdue."""
        return now - self.beat_at > BEATS_MISSED * self.interval


@dataclass(frozen=True)
class QueueSeen:
    """A task queue: identities that poll, workers that are listed as pollers but silent, and what waits how long."""

    name: str
    kind: Kind
    polling: Sequence[str]
    workers: Sequence[WorkerSeen]
    silent: Sequence[WorkerSeen]
    backlog: int = 0
    backlog_age: timedelta = timedelta()


def time_of(stamp: Timestamp) -> datetime:
    """Return a protobuf time as ours."""
    return stamp.ToDatetime(tzinfo=UTC)


async def list_workers(client: Client) -> list[WorkerSeen]:
    """Return the newest heartbeat of every worker that the namespace knows."""
    found, token = list[WorkerSeen](), b""
    while True:
        page = await client.workflow_service.list_workers(
            ListWorkersRequest(namespace=client.namespace, next_page_token=token), timeout=RPC_TIMEOUT
        )
        found += [_worker_seen(info.worker_heartbeat) for info in page.workers_info]
        token = page.next_page_token
        if not token:
            return found


def _worker_seen(beat: WorkerHeartbeat) -> WorkerSeen:
    workflow, activity = beat.workflow_task_slots_info, beat.activity_task_slots_info
    return WorkerSeen(
        identity=beat.worker_identity,
        queue=beat.task_queue,
        beat_at=time_of(beat.heartbeat_time),
        interval=beat.elapsed_since_last_heartbeat.ToTimedelta() or DEFAULT_HEARTBEAT,
        slots={
            Kind.WORKFLOW: Slots(workflow.current_available_slots, workflow.current_used_slots),
            Kind.ACTIVITY: Slots(activity.current_available_slots, activity.current_used_slots),
        },
        memory=beat.host_info.current_host_mem_usage,
        has_stopped=beat.status in (WorkerStatus.WORKER_STATUS_SHUTDOWN, WorkerStatus.WORKER_STATUS_SHUTTING_DOWN),
    )


async def look_at(client: Client, name: str, kind: Kind, workers: Sequence[WorkerSeen], now: datetime) -> QueueSeen:
    """Ask who polls a queue, and hold it against the workers' heartbeats."""
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=name),
            task_queue_type=KINDS[kind],
            report_stats=True,
        ),
        timeout=RPC_TIMEOUT,
    )
    known = {
        worker.identity: worker for worker in sorted(workers, key=lambda each: each.beat_at) if worker.queue == name
    }
    polling, silent = list[str](), list[WorkerSeen]()
    for poller in answer.pollers:
        worker = known.get(poller.identity)
        if worker is not None and worker.has_stopped:
            continue
        if worker is not None and worker.is_silent(now):
            silent.append(worker)
        elif now - time_of(poller.last_access_time) < POLL_LASTS:
            polling.append(poller.identity)
    alive = [known[identity] for identity in polling if identity in known]
    stats = answer.stats
    age = stats.approximate_backlog_age.ToTimedelta()
    return QueueSeen(name, kind, polling, alive, silent, stats.approximate_backlog_count, age)


async def look_at_all(client: Client, names: Iterable[str]) -> list[QueueSeen]:
    """Look at both kinds of the queues that are named, and of those that a living worker serves, by name.

    Raises TemporalUnavailable.
    """
    with unavailable():
        now, workers = datetime.now(UTC), await list_workers(client)
        served = {worker.queue for worker in workers if not worker.has_stopped and not worker.is_silent(now)}
        looks = [
            look_at(client, name, kind, workers, now)
            for name in sorted(served | set(names))
            if not name.startswith(INTERNAL)
            for kind in Kind
        ]
        return list(await asyncio.gather(*looks))


def queue_findings(queue: QueueSeen, since: datetime) -> list[Finding]:
    """Say why what has waited in a queue since a time is not picked up."""
    if not queue.polling:
        return [_lost(queue) if queue.silent else _nobody(queue, since)]
    found = [_memory_short(queue, worker) for worker in queue.workers if worker.memory >= MEMORY_SHORT]
    known = len(queue.workers) == len(queue.polling)
    if known and all(worker.slots[queue.kind].are_full for worker in queue.workers):
        return [_slots_full(queue, since), *found]
    return [_not_picked_up(queue, since), *found]


def _nobody(queue: QueueSeen, since: datetime) -> Finding:
    return Finding(
        FindingCode.NO_WORKER,
        Severity.PROBLEM,
        queue.name,
        _("No worker polls the task queue “%(name)s” for %(queue)s, so nothing there is picked up.")
        % {"name": queue.name, "queue": _tasks(queue)},
        _("Start a worker for it: manage.py worker --queue %(name)s. The batch goes on by itself.")
        % {"name": queue.name},
        _("%(name)s: no %(kind)s pollers") % {"name": queue.name, "kind": queue.kind},
        since,
    )


def _lost(queue: QueueSeen) -> Finding:
    newest = max(queue.silent, key=lambda worker: worker.beat_at)
    return Finding(
        FindingCode.WORKER_LOST,
        Severity.PROBLEM,
        queue.name,
        _("The worker %(identity)s has stopped answering, and no other polls the task queue “%(name)s”.")
        % {"identity": newest.identity, "name": queue.name},
        _("Start the worker again, and look into its log for why it ended. What it was doing goes on where it was."),
        "\n".join(
            _("%(identity)s: last heartbeat %(beat_at)s UTC")
            % {"identity": worker.identity, "beat_at": f"{worker.beat_at:%H:%M:%S}"}
            for worker in queue.silent
        ),
        newest.beat_at,
    )


def _slots_full(queue: QueueSeen, since: datetime) -> Finding:
    used = sum(worker.slots[queue.kind].used for worker in queue.workers)
    workers = (
        _("the worker") if len(queue.workers) == 1 else _("all %(workers)s workers") % {"workers": len(queue.workers)}
    )
    return Finding(
        FindingCode.SLOTS_FULL,
        Severity.WARNING,
        queue.name,
        _("No place is free at %(workers)s of the task queue “%(name)s”: %(used)s %(queue)s run, others wait.")
        % {"workers": workers, "name": queue.name, "used": f"{used:,}", "queue": _tasks(queue)},
        _("Wait until one ends, or start another worker for this queue."),
        ", ".join(worker.identity for worker in queue.workers),
        since,
    )


def _memory_short(queue: QueueSeen, worker: WorkerSeen) -> Finding:
    return Finding(
        FindingCode.MEMORY_SHORT,
        Severity.WARNING,
        queue.name,
        _("The machine of the worker %(identity)s is short of memory: %(memory)s is used.")
        % {"identity": worker.identity, "memory": f"{worker.memory:.0%}"},
        _("Start another worker on another machine, or use smaller chunks and fewer items at once."),
        worker.identity,
    )


def _not_picked_up(queue: QueueSeen, since: datetime) -> Finding:
    return Finding(
        FindingCode.NOT_PICKED_UP,
        Severity.WARNING,
        queue.name,
        _("Work waits in the task queue “%(name)s”, and the workers that poll it do not pick it up.")
        % {"name": queue.name},
        _("It may pass in a moment. If it stays, look into the workers' logs, or start another worker for this queue."),
        _("Polled by ") + ", ".join(queue.polling),
        since,
    )


def _tasks(queue: QueueSeen) -> str:
    return "activities" if queue.kind is Kind.ACTIVITY else _("workflow tasks")
