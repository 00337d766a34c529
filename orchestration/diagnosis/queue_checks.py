"""Checks of task queues: nobody polls, workers lost, slots full, memory short."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from orchestration.client.task_queues import QueueKind, QueueSnapshot, WorkerSnapshot
from orchestration.diagnosis.findings import Finding, FindingCode, Severity
from orchestration.translation import _, ngettext

MEMORY_SHORT = 0.93
"""Used share of a host's memory from which a worker counts as short of memory."""


def check_queue(queue: QueueSnapshot, since: datetime) -> list[Finding]:
    """Return why no worker has picked up the tasks that have waited in a queue since a time."""
    if not queue.pollers:
        return [_lost(queue) if queue.lost_workers else _nobody(queue, since)]
    found = [_memory_short(queue, worker) for worker in queue.workers if worker.memory >= MEMORY_SHORT]
    known = len(queue.workers) == len(queue.pollers)
    if known and all(worker.slots[queue.kind].are_full for worker in queue.workers):
        return [_slots_full(queue, since), *found]
    return [_not_picked_up(queue, since), *found]


def check_workers(queues: Collection[str], workers: Sequence[WorkerSnapshot], now: datetime) -> list[Finding]:
    """Return what is wrong with the workers of queues, whether or not tasks wait there: frozen, threads stuck."""
    found = list[Finding]()
    for worker in workers:
        if worker.queue not in queues or worker.has_stopped:
            continue
        if not worker.is_lost(now):
            found += [_stuck(worker, name, number) for name, number in worker.stuck.items()]
        elif worker.is_frozen:
            found.append(_frozen(worker))
    return found


def _frozen(worker: WorkerSnapshot) -> Finding:
    return Finding(
        FindingCode.WORKER_FROZEN,
        Severity.PROBLEM,
        worker.queue,
        _("The worker %(identity)s is not answering: its process lives, but has done nothing since %(since)s UTC.")
        % {"identity": worker.identity, "since": f"{worker.last_sign:%H:%M:%S}"},
        _(
            "Something holds its Python, such as an item that computes in C code. A worker of `canopy run` is "
            "restarted automatically; end any other with SIGKILL, and start it again."
        ),
        worker.identity,
        worker.last_sign,
    )


def _stuck(worker: WorkerSnapshot, name: str, number: int) -> Finding:
    what = ngettext(
        "%(number)s thread of %(name)s is stuck in the worker %(identity)s: its item timed out or was canceled, but "
        "the function has not returned.",
        "%(number)s threads of %(name)s are stuck in the worker %(identity)s: their items timed out or were canceled, "
        "but the function has not returned.",
        number,
    )
    return Finding(
        FindingCode.THREADS_STUCK,
        Severity.WARNING,
        worker.queue,
        what % {"number": number, "name": name, "identity": worker.identity},
        _(
            "Others have taken their places; with too many, items of this processor fail. The worker's log says where "
            "they are: give what the function waits for a timeout of its own. Restarting the worker ends them."
        ),
        f"{worker.identity}: {name}",
    )


def _nobody(queue: QueueSnapshot, since: datetime) -> Finding:
    return Finding(
        FindingCode.NO_WORKER,
        Severity.PROBLEM,
        queue.name,
        _("No worker polls the task queue “%(name)s” for %(tasks)s, so none are picked up.")
        % {"name": queue.name, "tasks": _tasks(queue)},
        _("Start a worker for it: canopy worker --queue %(name)s. The batch then continues automatically.")
        % {"name": queue.name},
        _("%(name)s: no %(kind)s pollers") % {"name": queue.name, "kind": queue.kind},
        since,
    )


def _lost(queue: QueueSnapshot) -> Finding:
    newest = max(queue.lost_workers, key=lambda worker: worker.last_sign)
    return Finding(
        FindingCode.WORKER_LOST,
        Severity.PROBLEM,
        queue.name,
        _("The worker %(identity)s is not responding, and no other worker polls the task queue “%(name)s”.")
        % {"identity": newest.identity, "name": queue.name},
        _("Restart the worker, and check its log for the cause. Its work resumes where it stopped."),
        "\n".join(
            _("%(identity)s: last heartbeat %(beat_at)s UTC")
            % {"identity": worker.identity, "beat_at": f"{worker.last_sign:%H:%M:%S}"}
            for worker in queue.lost_workers
        ),
        newest.last_sign,
    )


def _slots_full(queue: QueueSnapshot, since: datetime) -> Finding:
    used = sum(worker.slots[queue.kind].used for worker in queue.workers)
    what = ngettext(
        "The worker of the task queue “%(name)s” has no free slot for %(tasks)s: %(used)s in use, more tasks waiting.",
        "All workers of the task queue “%(name)s” have no free slots for %(tasks)s: %(used)s in use, more tasks "
        "waiting.",
        len(queue.workers),
    )
    return Finding(
        FindingCode.SLOTS_FULL,
        Severity.WARNING,
        queue.name,
        what % {"name": queue.name, "used": f"{used:,}", "tasks": _tasks(queue)},
        _("Wait until a slot is free, or start another worker for this queue."),
        ", ".join(worker.identity for worker in queue.workers),
        since,
    )


def _memory_short(queue: QueueSnapshot, worker: WorkerSnapshot) -> Finding:
    return Finding(
        FindingCode.MEMORY_SHORT,
        Severity.WARNING,
        queue.name,
        _("The host of the worker %(identity)s is low on memory: %(memory)s is used.")
        % {"identity": worker.identity, "memory": f"{worker.memory:.0%}"},
        _("Start a worker on another host, or use smaller chunks and fewer concurrent items."),
        worker.identity,
    )


def _not_picked_up(queue: QueueSnapshot, since: datetime) -> Finding:
    return Finding(
        FindingCode.NOT_PICKED_UP,
        Severity.WARNING,
        queue.name,
        _("Tasks are waiting in the task queue “%(name)s”, but the workers that poll it do not pick them up.")
        % {"name": queue.name},
        _(
            "This may resolve itself in a moment. If not, check the workers' logs, or start another worker for this "
            "queue."
        ),
        _("Polled by %(workers)s") % {"workers": ", ".join(queue.pollers)},
        since,
    )


def _tasks(queue: QueueSnapshot) -> str:
    return _("activities") if queue.kind is QueueKind.ACTIVITY else _("workflow tasks")
