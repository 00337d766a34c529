"""A batch and its tallies."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from dashboard.ids import new_id
from dashboard.models.choices import OPEN_BATCH_STATUSES, BatchStatus, Hold, NodeStatus
from dashboard.models.definitions import DefinitionVersion
from dashboard.models.halts import seconds_between
from dashboard.models.schedules import Schedule
from dashboard.models.statuses import held_words, shown_counts
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import WorkflowTree, root_id
from orchestration.definitions.models import RESUMABLE_KINDS
from orchestration.plan.plan import Plan
from orchestration.telemetry.tracing import trace_id_of

GENERATION = 1_000_000_000
"""Revisions of one life of the database. A restore begins the next: what a browser has from before is read anew."""


class Tally(models.Model):
    """Numbers of children and items by status, net of retries: every child and item counts once, as it is now.

    On a batch they cover the whole batch, on a partition what lies below it; a child uses the item columns alone.
    Items that are neither completed nor failed count under the status of their child.
    """

    children_pending = models.PositiveIntegerField(default=0)
    children_running = models.PositiveIntegerField(default=0)
    children_completed = models.PositiveIntegerField(default=0)
    children_failed = models.PositiveIntegerField(default=0)
    children_canceled = models.PositiveIntegerField(default=0)
    children_terminated = models.PositiveIntegerField(default=0)
    children_timed_out = models.PositiveIntegerField(default=0)
    children_skipped = models.PositiveIntegerField(default=0)
    items_pending = models.PositiveIntegerField(default=0)
    items_running = models.PositiveIntegerField(default=0)
    items_completed = models.PositiveIntegerField(default=0)
    items_failed = models.PositiveIntegerField(default=0)
    items_canceled = models.PositiveIntegerField(default=0)
    items_terminated = models.PositiveIntegerField(default=0)
    items_timed_out = models.PositiveIntegerField(default=0)
    items_skipped = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def children(self) -> dict[str, int]:
        """Children by status value."""
        return {status.value: getattr(self, f"children_{status.value}") for status in Status}

    @property
    def items_by_status(self) -> dict[str, int]:
        """Items by status value."""
        return {status.value: getattr(self, f"items_{status.value}") for status in Status}


class BatchManager(models.Manager["Batch"]):
    """Batches but those that are being deleted: for all but what deletes them, these are gone."""

    def get_queryset(self) -> models.QuerySet[Batch]:
        """Leave out what is being deleted."""
        return super().get_queryset().filter(deleting_since=None)


class Batch(Tally):
    """One launch: what was requested, by whom, and its progress.

    `revision` rises with every change to the batch or a node of it, the newest of which was at `changed_at`. `source`
    says where the items came from:
    {"kind": "count" | "lines" | "csv" | "jsonl" | "api", "upload": id or None, "key": column or None, "left_out": n}.
    `reading` is the progress of an input that is read while the batch runs: {"is_last": bool, "position": fields of
    inputs.source.Position, "left_out": n, "bad": [[line, reason]]}.
    `root_status` is the status of its root's own workflow, from which and the tallies `status` follows.
    `steered_at` and `window_at` are the times of the newest known pause or resume, and change of window.
    `held_reason` and `held_until` say why and until when it waits for a person; `held_at` is the newest report of that,
    or of a start or an end of its root since.
    `halts` says when it was paused or held: `models.halts`.
    `final_stage` is the name of a pipeline's last stage: what completes there has passed all of them.
    `unattended` while no worker serves the task queue of what it has open.
    `blocked` says which of its workflows fail their workflow task again and again, since `blocked_since`:
    {"workflows": [ids], "workflow_id": and "workflow_type": of the first that failed, "reason": its error}.
    `unrecorded` counts workflows of its tree that have run and have no row: the database is older than Temporal;
    `lost_at` is when it was noticed that one of the two has lost something of the batch: `projection.lost_results`.
    A batch that Canopy did not launch has `watched_id`, its root's workflow id, and consists of the runs that started
    since `watched_since`; it has no items, and its processor is the root's workflow type.
    `opened_at` is the start of the root's newest run and `done_at_open` the children closed before it (for the ETA).
    `traceparent` is the span of its launch, as the header of W3C has it, of which all else is a part.
    `keep` says that retention leaves it alone; `acted_at` is when a person last did something to it, and
    `deleting_since` when retention began to delete it. `objects` has no such batches, `everything` has.
    `samples` is the progress per second over the last minute in which there was any: `orchestration.throughput`.
    """

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=32, default=new_id)
    processor = models.CharField(max_length=100)
    label = models.CharField(max_length=200, blank=True)
    note = models.TextField(blank=True)
    parameters = models.JSONField(default=dict)
    plan_data = models.JSONField(default=dict)
    source = models.JSONField(default=dict)
    reading = models.JSONField(default=dict)
    item_count = models.PositiveIntegerField()
    child_count = models.PositiveIntegerField()
    partition_count = models.PositiveIntegerField(default=0)
    final_stage = models.CharField(max_length=200, blank=True)

    status = models.CharField(max_length=30, choices=BatchStatus, default=BatchStatus.PENDING)
    root_status = models.CharField(max_length=20, choices=NodeStatus, default=NodeStatus.PENDING)
    revision = models.PositiveBigIntegerField(default=1)
    changed_at = models.DateTimeField(default=timezone.now)
    paused = models.BooleanField(default=False)
    window = models.PositiveIntegerField()
    steered_at = models.DateTimeField(null=True, blank=True)
    window_at = models.DateTimeField(null=True, blank=True)
    held_kind = models.CharField(max_length=10, choices=Hold, blank=True)
    held_reason = models.TextField(blank=True)
    held_until = models.DateTimeField(null=True, blank=True)
    held_at = models.DateTimeField(null=True, blank=True)
    halts = models.JSONField(default=list)
    unattended = models.BooleanField(default=False)
    blocked = models.JSONField(default=dict)
    blocked_since = models.DateTimeField(null=True, blank=True)
    moment_count = models.PositiveIntegerField(default=0)
    start_error = models.TextField(blank=True)
    unrecorded = models.PositiveIntegerField(default=0, db_default=0)
    lost_at = models.DateTimeField(null=True, blank=True)

    launched_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="batches")
    launched_via = models.CharField(max_length=20, default="form")
    schedule = models.ForeignKey(Schedule, on_delete=models.PROTECT, null=True, blank=True, related_name="batches")
    definition = models.ForeignKey(
        DefinitionVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="batches"
    )
    watched_id = models.CharField(max_length=1000, blank=True, db_index=True)
    watched_since = models.DateTimeField(null=True, blank=True)
    idempotency_key = models.CharField(max_length=200, null=True, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    traceparent = models.CharField(max_length=55, blank=True, default="", db_default="")
    created_at = models.DateTimeField(auto_now_add=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    done_at_open = models.PositiveIntegerField(default=0)
    samples = models.JSONField(default=list)
    reconciled_at = models.DateTimeField(null=True, blank=True)
    keep = models.BooleanField(default=False, db_default=False)
    acted_at = models.DateTimeField(null=True, blank=True)
    deleting_since = models.DateTimeField(null=True, blank=True)

    objects = BatchManager()
    everything: ClassVar = models.Manager["Batch"]()

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["-created_at", "-id"], name="batch_newest"),
            models.Index(fields=["status", "-created_at"], name="batch_status"),
            models.Index(fields=["closed_at"], name="batch_closed"),
            models.Index(
                fields=["deleting_since"], name="batch_deleting", condition=models.Q(deleting_since__isnull=False)
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["launched_by", "idempotency_key"], name="batch_launched_once"),
        ]

    def __str__(self) -> str:
        return self.label or self.id

    @property
    def trace_id(self) -> str:
        """The id of its trace, as 32 hexadecimal digits; empty if it was not traced."""
        return trace_id_of(self.traceparent)

    @property
    def plan(self) -> Plan:
        """The plan as it was launched; `window` may have been changed since."""
        return Plan.model_validate(self.plan_data)

    @property
    def workflows(self) -> WorkflowTree:
        """The tree of Temporal workflows that the batch consists of."""
        return WorkflowTree(self.watched_id or root_id(self.pk), self.watched_since)

    @property
    def is_laid_out(self) -> bool:
        """Whether all nodes below the root were known at launch: not so in a flow or a watched batch."""
        return self.definition_id is None and not self.watched_id

    @property
    def is_open(self) -> bool:
        """Whether it may still change without a person's doing."""
        return self.status in OPEN_BATCH_STATUSES

    @property
    def may_go_on(self) -> bool:
        """Whether it is a flow that resumes where it stopped when it is retried."""
        return self.definition_id is not None and self.processor in RESUMABLE_KINDS

    @property
    def held_words(self) -> str:
        """Why it is held, in the reader's language."""
        return held_words(self.held_reason)

    @property
    def shown_children(self) -> dict[str, int]:
        """Children by the status that people see."""
        return shown_counts(self.children, self.status)

    @property
    def shown_items(self) -> dict[str, int]:
        """Items by the status that people see."""
        return shown_counts(self.items_by_status, self.status)

    def elapsed(self, now: datetime) -> float | None:
        """Return the seconds that its newest run has taken until its end or now, without halts; None before it."""
        return seconds_between(self.halts, self.opened_at, self.closed_at or now) if self.opened_at else None

    @property
    def shown_status(self) -> str:
        """What a person sees; it is stored, unlike that of a node."""
        return self.status

    @property
    def is_discarded(self) -> bool:
        """Whether it was canceled before it started. A start request in flight may still reach Temporal."""
        return self.status == BatchStatus.CANCELED and self.opened_at is None
