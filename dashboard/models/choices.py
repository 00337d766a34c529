"""Statuses and kinds of batches and nodes."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy

from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status


class BatchStatus(models.TextChoices):
    """State of a batch as a person sees it, derived from its root and tallies by `tallies.batch_status`.

    Scheduled is what is open and no worker takes up. Failed is a batch whose root failed, and one of which nothing
    completed: `Batch.root_status` tells them apart.
    """

    PENDING = "pending", gettext_lazy("Pending")
    SCHEDULED = "scheduled", gettext_lazy("Scheduled")
    RUNNING = "running", gettext_lazy("Running")
    PAUSED = "paused", gettext_lazy("Paused")
    HELD = "held", gettext_lazy("Held")
    COMPLETED = "completed", gettext_lazy("Completed")
    COMPLETED_WITH_FAILURES = "completed_with_failures", gettext_lazy("Partially failed")
    FAILED = "failed", gettext_lazy("Failed")
    CANCELED = "canceled", gettext_lazy("Canceled")
    TERMINATED = "terminated", gettext_lazy("Terminated")
    TIMED_OUT = "timed_out", gettext_lazy("Timed out")
    ROLLED_BACK = "rolled_back", gettext_lazy("Rolled back")


OPEN_BATCH_STATUSES = (
    BatchStatus.PENDING,
    BatchStatus.SCHEDULED,
    BatchStatus.RUNNING,
    BatchStatus.PAUSED,
    BatchStatus.HELD,
)

HALTED = (BatchStatus.PAUSED, BatchStatus.HELD)
"""Statuses of an open batch that starts nothing until a person says so."""


class Hold(models.TextChoices):
    """What a held batch waits for a person to decide: what happens to its failures, or its approval."""

    FAILURES = "failures", gettext_lazy("What becomes of failures")
    APPROVAL = "gate", gettext_lazy("Whether it may start")


class NodeStatus(models.TextChoices):
    """State of a node or an item; the values of `orchestration.contracts.status.Status`."""

    PENDING = Status.PENDING, gettext_lazy("Pending")
    RUNNING = Status.RUNNING, gettext_lazy("Running")
    COMPLETED = Status.COMPLETED, gettext_lazy("Completed")
    FAILED = Status.FAILED, gettext_lazy("Failed")
    CANCELED = Status.CANCELED, gettext_lazy("Canceled")
    TERMINATED = Status.TERMINATED, gettext_lazy("Terminated")
    TIMED_OUT = Status.TIMED_OUT, gettext_lazy("Timed out")
    SKIPPED = Status.SKIPPED, gettext_lazy("Skipped")


FAILURES = (NodeStatus.FAILED, NodeStatus.TIMED_OUT, NodeStatus.TERMINATED)
"""Outcomes that no person requested."""

NOT_COMPLETED = (*FAILURES, NodeStatus.CANCELED)
"""Failures and cancellations, most urgent first: the first rows of every page, and the left end of every bar."""

BY_INTEREST = (*NOT_COMPLETED, NodeStatus.RUNNING, NodeStatus.PENDING, NodeStatus.COMPLETED, NodeStatus.SKIPPED)
"""All statuses, most urgent first."""

SHOWN_BY_INTEREST = (
    *NOT_COMPLETED,
    NodeStatus.RUNNING,
    BatchStatus.SCHEDULED,
    NodeStatus.PENDING,
    NodeStatus.COMPLETED,
    NodeStatus.SKIPPED,
)
"""All statuses of children and items that people see, most urgent first."""

NODE_KIND_LABELS = {
    NodeKind.ROOT.value: gettext_lazy("Root"),
    NodeKind.PARENT.value: gettext_lazy("Parent"),
    NodeKind.PARTITION.value: gettext_lazy("Partition"),
    NodeKind.STAGE.value: gettext_lazy("Stage"),
    NodeKind.CHILD.value: gettext_lazy("Child"),
    NodeKind.ROLLBACK.value: gettext_lazy("Rollback"),
    NodeKind.STEP.value: gettext_lazy("Step"),
    NodeKind.SERVICE.value: gettext_lazy("Service"),
    NodeKind.POOL_WORKER.value: gettext_lazy("Pool worker"),
    NodeKind.ENTITY.value: gettext_lazy("Entity"),
    NodeKind.GATE.value: gettext_lazy("Gate"),
}
"""What a person calls each kind of node."""

PARENT_KINDS = (NodeKind.PARTITION, NodeKind.STAGE, NodeKind.PARENT)
"""Kinds of nodes between the root and its children, with tallies of what lies below them."""
