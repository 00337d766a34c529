"""Checks of task queues: nobody polls, workers lost, slots full, memory short."""

from __future__ import annotations

from datetime import datetime

from orchestration.client.task_queues import QueueKind, QueueSnapshot, WorkerSnapshot
from orchestration.diagnosis.findings import Finding, FindingCode, Severity
from orchestration.translation import _

MEMORY_SHORT = 0.93
"""Share of a host's memory above which a worker is said to be short of it."""


def queue_findings(queue: QueueSnapshot, since: datetime) -> list[Finding]:
    """Say why what has waited in a queue since a time is not picked up."""
    if not queue.pollers:
        return [_lost(queue) if queue.lost_workers else _nobody(queue, since)]
    found = [_memory_short(queue, worker) for worker in queue.workers if worker.memory >= MEMORY_SHORT]
    known = len(queue.workers) == len(queue.pollers)
    if known and all(worker.slots[queue.kind].are_full for worker in queue.workers):
        return [_slots_full(queue, since), *found]
    return [_not_picked_up(queue, since), *found]


def _nobody(queue: QueueSnapshot, since: datetime) -> Finding:
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


def _lost(queue: QueueSnapshot) -> Finding:
    newest = max(queue.lost_workers, key=lambda worker: worker.heartbeat_at)
    return Finding(
        FindingCode.WORKER_LOST,
        Severity.PROBLEM,
        queue.name,
        _("The worker %(identity)s has stopped answering, and no other polls the task queue “%(name)s”.")
        % {"identity": newest.identity, "name": queue.name},
        _("Start the worker again, and look into its log for why it ended. What it was doing goes on where it was."),
        "\n".join(
            _("%(identity)s: last heartbeat %(beat_at)s UTC")
            % {"identity": worker.identity, "beat_at": f"{worker.heartbeat_at:%H:%M:%S}"}
            for worker in queue.lost_workers
        ),
        newest.heartbeat_at,
    )


def _slots_full(queue: QueueSnapshot, since: datetime) -> Finding:
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


def _memory_short(queue: QueueSnapshot, worker: WorkerSnapshot) -> Finding:
    return Finding(
        FindingCode.MEMORY_SHORT,
        Severity.WARNING,
        queue.name,
        _("The machine of the worker %(identity)s is short of memory: %(memory)s is used.")
        % {"identity": worker.identity, "memory": f"{worker.memory:.0%}"},
        _("Start another worker on another machine, or use smaller chunks and fewer items at once."),
        worker.identity,
    )


def _not_picked_up(queue: QueueSnapshot, since: datetime) -> Finding:
    return Finding(
        FindingCode.NOT_PICKED_UP,
        Severity.WARNING,
        queue.name,
        _("Work waits in the task queue “%(name)s”, and the workers that poll it do not pick it up.")
        % {"name": queue.name},
        _("It may pass in a moment. If it stays, look into the workers' logs, or start another worker for this queue."),
        _("Polled by ") + ", ".join(queue.pollers),
        since,
    )


def _tasks(queue: QueueSnapshot) -> str:
    return "activities" if queue.kind is QueueKind.ACTIVITY else _("workflow tasks")
