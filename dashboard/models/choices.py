"""Statuses and kinds of batches and nodes."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy

from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status


class BatchStatus(models.TextChoices):
    """State of a batch as a person sees it. Derived from root and tallies by `projection`."""

    PENDING = "pending", gettext_lazy("Pending")
    RUNNING = "running", gettext_lazy("Running")
    PAUSED = "paused", gettext_lazy("Paused")
    HELD = "held", gettext_lazy("Held")
    COMPLETED = "completed", gettext_lazy("Completed")
    COMPLETED_WITH_FAILURES = "completed_with_failures", gettext_lazy("Completed with failures")
    FAILED = "failed", gettext_lazy("Failed")
    CANCELED = "canceled", gettext_lazy("Canceled")
    TERMINATED = "terminated", gettext_lazy("Terminated")
    TIMED_OUT = "timed_out", gettext_lazy("Timed out")
    ROLLED_BACK = "rolled_back", gettext_lazy("Rolled back")


OPEN_BATCH_STATUSES = (BatchStatus.PENDING, BatchStatus.RUNNING, BatchStatus.PAUSED, BatchStatus.HELD)


class Hold(models.TextChoices):
    """What a held batch waits for a person to decide."""

    FAILURES = "failures", gettext_lazy("What becomes of failures")
    GATE = "gate", gettext_lazy("Whether it may start")


class NodeStatus(models.TextChoices):
    """State of a node or an item; the values of `orchestration.contracts.Status`."""

    PENDING = Status.PENDING, gettext_lazy("Pending")
    RUNNING = Status.RUNNING, gettext_lazy("Running")
    COMPLETED = Status.COMPLETED, gettext_lazy("Completed")
    FAILED = Status.FAILED, gettext_lazy("Failed")
    CANCELED = Status.CANCELED, gettext_lazy("Canceled")
    TERMINATED = Status.TERMINATED, gettext_lazy("Terminated")
    TIMED_OUT = Status.TIMED_OUT, gettext_lazy("Timed out")
    SKIPPED = Status.SKIPPED, gettext_lazy("Skipped")


FAILURES = (NodeStatus.FAILED, NodeStatus.TIMED_OUT, NodeStatus.TERMINATED)
"""Outcomes that nobody asked for."""

NOT_COMPLETED = (*FAILURES, NodeStatus.CANCELED)
"""Failures in the order of interest: the first rows of every page, and the left end of every bar."""

BY_INTEREST = (*NOT_COMPLETED, NodeStatus.RUNNING, NodeStatus.PENDING, NodeStatus.COMPLETED, NodeStatus.SKIPPED)
"""All statuses, those first that a person looks for."""


class Kind(models.TextChoices):
    """What a node is; the values of `orchestration.contracts.NodeKind`."""

    ROOT = NodeKind.ROOT, gettext_lazy("Root")
    PARENT = NodeKind.PARENT, gettext_lazy("Parent")
    PARTITION = NodeKind.PARTITION, gettext_lazy("Partition")
    STAGE = NodeKind.STAGE, gettext_lazy("Stage")
    CHILD = NodeKind.CHILD, gettext_lazy("Child")
    ROLLBACK = NodeKind.ROLLBACK, gettext_lazy("Rollback")
    STEP = NodeKind.STEP, gettext_lazy("Step")
    SERVICE = NodeKind.SERVICE, gettext_lazy("Service")
    POOL_WORKER = NodeKind.POOL_WORKER, gettext_lazy("Pool worker")
    ENTITY = NodeKind.ENTITY, gettext_lazy("Entity")
    GATE = NodeKind.GATE, gettext_lazy("Gate")


PARENT_KINDS = (Kind.PARTITION, Kind.STAGE, Kind.PARENT)
"""Nodes between the root and children, with tallies of what lies below them."""
