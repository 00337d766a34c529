"""Task queues of batches with their workers, and whether a queue is polled. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.i18n.formatting import StrOrPromise
from dashboard.models import OPEN_BATCH_STATUSES, Batch
from dashboard.temporal import gateway
from orchestration.client.task_queues import QueueKind, QueueSnapshot, Slots, WorkerSnapshot
from orchestration.contracts.names import CHILD_TASK_QUEUE, DASHBOARD_TASK_QUEUE, SCHEDULE_TASK_QUEUE
from orchestration.temporal.connection import TemporalUnavailable

PURPOSES = {
    CHILD_TASK_QUEUE: gettext_lazy("workflows, and items by default"),
    DASHBOARD_TASK_QUEUE: gettext_lazy("events for the dashboard"),
    SCHEDULE_TASK_QUEUE: gettext_lazy("scheduled launches"),
}

POLLED_CACHE_SECONDS = 5
"""How long the answer is cached: a form asks at every change."""

LAG_SHOWN = 1.0
"""Seconds by which an event loop must be late to be shown so."""

UNREACHABLE = gettext_lazy("Can't reach Temporal, so the state of its task queues is unknown. Nothing is lost.")


@dataclass(frozen=True)
class WorkerRow:
    """A worker that polls a queue. One that is silent `is_frozen` where its process still sends heartbeats.

    `stuck` is the number of its threads by processor whose items have timed out and whose function has not come back,
    `lag` by how many seconds its event loop was late, where that is worth a look.
    """

    identity: str
    beat_age: timedelta | None
    slots: Slots | None
    memory: float | None
    is_silent: bool
    is_frozen: bool = False
    stuck: Mapping[str, int] = field(default_factory=dict)
    lag: float = 0.0


@dataclass(frozen=True)
class QueueRow:
    """A queue with its backlog: of activities, or of workflow tasks if those are more."""

    name: str
    purpose: StrOrPromise
    workers: list[WorkerRow]
    backlog: int
    backlog_age: timedelta
    batches: int

    @property
    def is_polled(self) -> bool:
        """Whether any live worker polls it."""
        return any(not worker.is_silent for worker in self.workers)


@dataclass(frozen=True)
class QueuesPage:
    """Context of the list."""

    rows: list[QueueRow]
    error: StrOrPromise = ""


def queues_page() -> QueuesPage:
    """Return our own queues, those of open batches, and those of live workers."""
    batches = _open_batches()
    try:
        snapshots = async_to_sync(gateway().queues)({*PURPOSES, *batches})
    except TemporalUnavailable:
        return QueuesPage([], UNREACHABLE)
    by_name = dict[str, list[QueueSnapshot]]()
    for queue in snapshots:
        by_name.setdefault(queue.name, []).append(queue)
    now = timezone.now()
    rows = [_row(name, kinds, batches.get(name, 0), now) for name, kinds in by_name.items()]
    return QueuesPage(sorted(rows, key=lambda row: (row.is_polled, row.name in PURPOSES, row.name)))


def workers_of(name: str) -> int | None:
    """Return how many workers poll a queue for activities; None if Temporal is unavailable. Cached for a moment."""
    cache_key = f"workers:{name}"
    known: tuple[int | None] | None = cache.get(cache_key)
    if known is None:
        try:
            snapshots = async_to_sync(gateway().queues)([name])
            polling = [set(queue.pollers) for queue in snapshots if _is_of_items(queue, name)]
            known = (len(set[str]().union(*polling)),)
        except TemporalUnavailable:
            known = (None,)
        cache.set(cache_key, known, POLLED_CACHE_SECONDS)
    return known[0]


def _is_of_items(queue: QueueSnapshot, name: str) -> bool:
    return queue.name == name and queue.kind is QueueKind.ACTIVITY


def unpolled_warning(name: str) -> str:
    """Return a warning if no worker polls a queue for activities; nothing if one does or Temporal is unavailable."""
    if workers_of(name) != 0:
        return ""
    return _("No worker polls the task queue “%(name)s”: nothing runs there until one does.") % {"name": name}


def _open_batches() -> dict[str, int]:
    """Return the number of open batches by the queue that their items are processed on."""
    numbers = dict[str, int]()
    for name in Batch.objects.filter(status__in=OPEN_BATCH_STATUSES).values_list("plan_data__task_queue", flat=True):
        numbers[name or CHILD_TASK_QUEUE] = numbers.get(name or CHILD_TASK_QUEUE, 0) + 1
    return numbers


def _row(name: str, kinds: Iterable[QueueSnapshot], batches: int, now: datetime) -> QueueRow:
    fullest = max(kinds, key=lambda kind: (kind.backlog, kind.kind is QueueKind.ACTIVITY))
    workers = dict[str, WorkerRow]()
    for queue in kinds:
        workers |= {identity: WorkerRow(identity, None, None, None, False) for identity in queue.pollers}
    for queue in kinds:
        workers |= {worker.identity: _worker(worker, now, is_silent=False) for worker in queue.workers}
        workers |= {worker.identity: _worker(worker, now, is_silent=True) for worker in queue.lost_workers}
    ordered = sorted(workers.values(), key=lambda worker: (not worker.is_silent, worker.identity))
    return QueueRow(name, PURPOSES.get(name, ""), ordered, fullest.backlog, fullest.backlog_age, batches)


def _worker(worker: WorkerSnapshot, now: datetime, *, is_silent: bool) -> WorkerRow:
    age = max(now - worker.last_sign, timedelta(0))
    slots, is_frozen = worker.slots[QueueKind.ACTIVITY], is_silent and worker.is_frozen
    lag = worker.lag if worker.lag >= LAG_SHOWN and not is_silent else 0.0
    return WorkerRow(worker.identity, age, slots, worker.memory, is_silent, is_frozen, worker.stuck, lag)
