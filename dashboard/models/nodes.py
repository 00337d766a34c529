"""Nodes of a batch's tree and the runs of each.

`launching` inserts a batch and its root, and `projection.tree_writer` what lies below. Afterwards nodes, runs, timeline
and tallies change through `projection`, whose ledger locks the batch; `chunk_store` adds pages and sections within a
ledger.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext as _

from dashboard.models.batches import Batch, Tally
from dashboard.models.choices import NODE_KIND_LABELS, PARENT_KINDS, NodeStatus
from dashboard.models.halts import seconds_between
from dashboard.models.operations import Operation
from dashboard.models.statuses import shown_counts, status_of_parent, status_of_run
from orchestration.contracts.events import NodeKind


class Node(Tally):
    """One workflow execution in a batch's tree, as it is now: the newest attempt counts.

    `status` is that of its own workflow; `shown_status` is what a person sees.

    `position` is the partition's or child's index over the whole batch; `offset` and `length` its slice of the items,
    `key_first` and `key_last` the business keys at its ends. `label` names a node without keys. `note` says what it has
    waited for or been doing since `noted_at`. A node with `is_workflow` false is part of its parent's execution.
    `attempt` is 0 until the first run has started or is reserved. `duration` is the seconds that the newest run took,
    once it has closed. `signature` is that of its newest error if no item caused it, and stays once a retry succeeds.
    `operation` is the newest that retried it. `revision` is the batch's revision at the last change.
    """

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="nodes")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="below")
    kind = models.CharField(max_length=20, choices=NODE_KIND_LABELS)
    position = models.PositiveIntegerField(default=0)
    workflow_id = models.CharField(max_length=1000)
    is_workflow = models.BooleanField(default=True)
    label = models.CharField(max_length=200, blank=True)
    note = models.TextField(blank=True)
    noted_at = models.DateTimeField(null=True, blank=True)
    run_id = models.CharField(max_length=64, blank=True)
    offset = models.PositiveIntegerField()
    length = models.PositiveIntegerField()
    key_first = models.CharField(max_length=200, blank=True)
    key_last = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=20, choices=NodeStatus, default=NodeStatus.PENDING)
    attempt = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    duration = models.FloatField(null=True, blank=True)
    error_type = models.CharField(max_length=200, blank=True)
    error_message = models.TextField(blank=True)
    signature = models.CharField(max_length=16, null=True, blank=True)
    operation = models.ForeignKey(
        Operation, on_delete=models.SET_NULL, null=True, blank=True, related_name="nodes", db_index=False
    )
    revision = models.PositiveBigIntegerField(default=1)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["batch", "revision"], name="node_revision"),
            models.Index(fields=["batch", "kind", "position"], name="node_position"),
            models.Index(fields=["batch", "kind", "status", "position"], name="node_status"),
            models.Index(
                fields=["batch", "signature", "status"], name="node_signature", condition=Q(signature__isnull=False)
            ),
            models.Index(fields=["operation"], name="node_operation", condition=Q(operation__isnull=False)),
            models.Index(fields=["batch", "duration"], name="node_duration", condition=Q(duration__isnull=False)),
            models.Index(fields=["parent", "status", "position"], name="node_below"),
            models.Index(fields=["workflow_id"], name="node_workflow"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "workflow_id"], name="node_of_workflow"),
        ]

    def __str__(self) -> str:
        return self.workflow_id

    @property
    def title(self) -> str:
        """Its name for a person: its label, or else its number."""
        if self.kind == NodeKind.ROOT:
            return _("Root")
        if self.kind == NodeKind.PARTITION:
            return _("Partition %(position)s") % {"position": self.ordinal}
        if self.kind in (NodeKind.PARENT, NodeKind.CHILD):
            return self.label or f"#{self.ordinal}"
        return f"{self.get_kind_display()} {self.label}".strip()

    @property
    def ordinal(self) -> int:
        """Its position as people count: from 1."""
        return self.position + 1

    @property
    def has_tallies(self) -> bool:
        """Whether it stands between the root and children, and has tallies of what lies below it."""
        return self.kind in PARENT_KINDS

    @property
    def shown_status(self) -> str:
        """Its status with what is below it, and its batch's where that is halted: the root's is the batch's."""
        if self.kind == NodeKind.ROOT:
            return self.batch.status
        if self.has_tallies:
            return status_of_parent(self.status, self.children, self.items_completed, self.batch.status)
        return status_of_run(self.status, self.batch.status)

    @property
    def shown_run(self) -> tuple[datetime | None, datetime | None]:
        """Start and end of its newest run; the root's are its batch's, which ends with the last child."""
        if self.kind == NodeKind.ROOT:
            return self.batch.opened_at, self.batch.closed_at
        return self.started_at, self.closed_at

    def elapsed(self, now: datetime) -> float | None:
        """Return the seconds that its newest run has taken until its end or now; None before it.

        A parent's clock stops while its batch is paused or held, unlike that of a child that is running.
        """
        started, closed = self.shown_run
        is_halted = self.kind == NodeKind.ROOT or self.has_tallies
        return seconds_between(self.batch.halts if is_halted else (), started, closed or now) if started else None

    @property
    def shown_children(self) -> dict[str, int]:
        """Children below it by the status that people see; the root has its batch's."""
        tally: Tally = self.batch if self.kind == NodeKind.ROOT else self
        return shown_counts(tally.children, self.batch.status)

    @property
    def shown_tally(self) -> dict[str, int]:
        """What its row counts, by the status that people see: the items of a stage, the children of other parents."""
        items = self.items_by_status
        is_of_items = self.kind == NodeKind.STAGE and any(items.values())
        return shown_counts(items, self.batch.status) if is_of_items else self.shown_children

    @property
    def last_item(self) -> int:
        """Index of the last item of the slice."""
        return self.offset + self.length - 1


class Attempt(models.Model):
    """One run of a node. The newest counts; the older ones stay readable. Numbered from 1 by start time."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="attempts")
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    run_id = models.CharField(max_length=64)
    status = models.CharField(max_length=20, choices=NodeStatus, default=NodeStatus.RUNNING)
    started_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    error_type = models.CharField(max_length=200, blank=True)
    error_message = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["number"]
        indexes: ClassVar = [models.Index(fields=["batch", "status"], name="attempt_status")]
        constraints: ClassVar = [models.UniqueConstraint(fields=["node", "run_id"], name="attempt_of_run")]

    def __str__(self) -> str:
        return f"{self.node_id} attempt {self.number}"
