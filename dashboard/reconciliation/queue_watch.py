"""Queue watch: which batches no worker serves. No event tells: what Temporal has started only waits in a task queue."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from dashboard.database.threads import in_thread
from dashboard.definitions.stages import stages_of
from dashboard.live import doorbell
from dashboard.models import Batch, Node, NodeStatus
from dashboard.projection.unattended import set_unattended
from dashboard.temporal import gateway
from orchestration.contracts.events import NodeKind
from orchestration.contracts.names import CHILD_TASK_QUEUE

ASKED_FOR = 60.0
"""Seconds for which a queue is asked for after a batch on it was compared. Batches are compared at their own pace."""


@dataclass
class QueueWatch:
    """The task queues of all batches that are compared, and which of them no worker serves: asked for all at once."""

    _wanted: dict[str, float] = field(default_factory=dict)
    _empty: set[str] = field(default_factory=set)
    _deserted: set[str] = field(default_factory=set)

    async def look(self) -> None:
        """Ask for the queues of the batches that were compared lately. Raises TemporalUnavailable.

        A queue counts once two looks in a row have found nobody: a worker may be just restarting.
        """
        now = time.monotonic()
        self._wanted = {queue: at for queue, at in self._wanted.items() if now - at < ASKED_FOR}
        empty = await gateway().queues_without_workers({CHILD_TASK_QUEUE, *self._wanted})
        self._deserted, self._empty = empty & self._empty, empty

    async def record(self, batch: Batch) -> None:
        """Record of a batch of ours whether anybody serves it."""
        queues = await in_thread(queues_of)(batch)
        self._wanted |= dict.fromkeys(queues, time.monotonic())
        unattended = batch.is_open and (CHILD_TASK_QUEUE in self._deserted or queues <= self._deserted)
        if unattended != batch.unattended:
            await in_thread(set_unattended)(batch.pk, unattended=unattended)
            await doorbell.announce_change(batch.pk)


def queues_of(batch: Batch) -> set[str]:
    """Return the task queues on which a batch has its items processed at present: those of its open stages."""
    own = {str(batch.plan_data.get("task_queue") or CHILD_TASK_QUEUE)}
    if not (stages := {stage.name: stage for stage in stages_of(batch.definition_id)}):
        return own
    running = Node.objects.filter(batch=batch, kind=NodeKind.STAGE, status=NodeStatus.RUNNING)
    return {stages[name].plan.task_queue for name in running.values_list("label", flat=True) if name in stages} or own
