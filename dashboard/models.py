"""The record of what happened: batches, their nodes, attempts and items, and who did what.

Node, Attempt and the tallies are written by `projection` alone; Item results by `store` through it.
"""

from __future__ import annotations

import secrets
from typing import Any, BinaryIO, ClassVar, cast

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard import list_models, notification_models  # noqa: F401  so that Django knows their models
from dashboard.definition_models import DefinitionVersion
from dashboard.ids import new_id
from dashboard.operation_models import Operation
from dashboard.schedule_models import Schedule
from orchestration.contracts import NodeKind, Status
from orchestration.definitions import GOING_ON
from orchestration.plan import Plan, WorkflowTree, root_id


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


def new_upload_id() -> str:
    """Return an id that cannot be guessed: whoever knows it may launch what was uploaded."""
    return secrets.token_urlsafe(16)


class Upload(models.Model):
    """Items as a person gave them (pasted or uploaded), kept so that nothing typed is ever lost."""

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=32, default=new_upload_id)
    file = models.FileField(upload_to="items/%Y/%m/")
    name = models.CharField(max_length=200)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    uploaded_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    def reader(self) -> BinaryIO:
        """Open what was uploaded."""
        return cast("BinaryIO", self.file.storage.open(str(self.file.name), "rb"))


class Batch(Tally):
    """One launch: what was asked for, by whom, and how far it is.

    `revision` rises with every change to the batch or a node of it, the newest of which was at `changed_at`. `source`
    says where the items came from:
    {"kind": "count" | "lines" | "csv" | "jsonl" | "api", "upload": id or None, "key": column or None, "left_out": n}.
    `reading` says how far an input is that is read while it runs: {"is_last": bool, "position": as items.Position says,
    "left_out": n, "bad": [[line, reason]]}.
    `steered_at` and `window_at` are the times of the newest pause or resume, and change of window, that are known.
    `held_reason` and `held_until` say why and until when it waits for a person; `held_at` is when that was told last.
    One that Canopy did not launch has `watched_id`, its root's workflow id, and is made of what started since
    `watched_since`; it has no items, and its processor is the root's type.
    `opened_at` is the start of the root's newest run and `done_at_open` the children closed before it (for the ETA),
    `samples` what was done at which second of the last minute that anything was, as `orchestration.pace` says.
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

    status = models.CharField(max_length=30, choices=BatchStatus, default=BatchStatus.PENDING)
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
    moment_count = models.PositiveIntegerField(default=0)
    start_error = models.TextField(blank=True)

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
    created_at = models.DateTimeField(auto_now_add=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    done_at_open = models.PositiveIntegerField(default=0)
    samples = models.JSONField(default=list)
    reconciled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["-created_at", "-id"], name="batch_newest"),
            models.Index(fields=["status", "-created_at"], name="batch_status"),
            models.Index(fields=["closed_at"], name="batch_closed"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["launched_by", "idempotency_key"], name="batch_launched_once"),
        ]

    def __str__(self) -> str:
        return self.label or self.id

    @property
    def plan(self) -> Plan:
        """The plan as it was launched; `window` may have been changed since."""
        return Plan.model_validate(self.plan_data)

    @property
    def workflows(self) -> WorkflowTree:
        """Which of Temporal's workflows are the batch's."""
        return WorkflowTree(self.watched_id or root_id(self.pk), self.watched_since)

    @property
    def is_laid_out(self) -> bool:
        """Whether what lies below the root was known at launch: not so in a flow, nor in what is only watched."""
        return self.definition_id is None and not self.watched_id

    @property
    def is_open(self) -> bool:
        """Whether something may still happen without a person's doing."""
        return self.status in OPEN_BATCH_STATUSES

    @property
    def may_go_on(self) -> bool:
        """Whether it is a flow that, once it has closed, goes on with what it had not done."""
        return self.definition_id is not None and self.processor in GOING_ON

    @property
    def is_discarded(self) -> bool:
        """Whether it was given up before it started. A start that was on its way may still arrive at Temporal."""
        return self.status == BatchStatus.CANCELED and self.opened_at is None


class Node(Tally):
    """One workflow execution in a batch's tree, as it is now: the newest attempt counts.

    `position` is the partition's or child's index over the whole batch; `offset` and `length` its slice of the items,
    `key_first` and `key_last` the business keys at its ends. `label` names a node without keys, `note` says, since
    `noted_at`, what it waits for or is doing. One that is no workflow is a part of its parent's execution. `attempt` is
    0 until the first run is started or asked for. `duration` is the seconds that the newest took, once it has closed.
    `signature` is its newest error's where no item is to blame, also once that is mended. `operation` is the newest
    that it was taken on by. `revision` is the batch's revision at the last change.
    """

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="nodes")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="below")
    kind = models.CharField(max_length=20, choices=Kind)
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
        """What a person calls it: by its number, or its label where it has one."""
        if self.kind == Kind.ROOT:
            return _("Root")
        if self.kind == Kind.PARTITION:
            return _("Partition %(position)s") % {"position": self.position}
        if self.kind in (Kind.PARENT, Kind.CHILD):
            return self.label or f"#{self.position}"
        return f"{self.get_kind_display()} {self.label}".strip()

    @property
    def has_tallies(self) -> bool:
        """Whether it stands between the root and children, and counts what lies below it."""
        return self.kind in PARENT_KINDS

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


class ItemQuerySet(models.QuerySet["Item"]):
    """Items, with the status that a person is shown."""

    def with_shown_status(self) -> ItemQuerySet:
        """Annotate `shown_status`: an item that is neither completed nor failed has its child's status."""
        child = Node.objects.filter(
            batch=models.OuterRef("batch"), kind=NodeKind.CHILD, position=models.OuterRef("child")
        )
        shown = models.Case(
            models.When(status=NodeStatus.PENDING, then=models.Subquery(child.values("status")[:1])),
            default=models.F("status"),
        )
        return self.annotate(shown_status=shown)


class Item(models.Model):
    """One record of the input and what became of it.

    `status` is pending, completed or failed; an item that is pending is shown with its child's status. `run_id` is the
    run of the child that wrote the result. In a pipeline, a completed one has `moved_on` once the next stage was made,
    and was `dropped` (why) where that did not get it. `undone_at` is set once a rollback has undone the item,
    `undo_error` when it could not. `earlier` keeps the failures of earlier runs:
    [{"attempts", "type", "message", "at"}], oldest first. `signature` is the newest failure's, also once it is mended.
    """

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="items")
    index = models.PositiveIntegerField()
    child = models.PositiveIntegerField()
    key = models.CharField(max_length=200)
    data: models.JSONField[Any, Any] = models.JSONField(default=dict)
    status = models.CharField(max_length=20, choices=NodeStatus, default=NodeStatus.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    run_id = models.CharField(max_length=64, blank=True)
    result: models.JSONField[Any, Any] = models.JSONField(null=True, blank=True)
    error_type = models.CharField(max_length=200, blank=True)
    error_message = models.TextField(blank=True)
    error_stack = models.TextField(blank=True)
    signature = models.CharField(max_length=16, null=True, blank=True)
    earlier: models.JSONField[Any, Any] = models.JSONField(default=list)
    duration = models.FloatField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)
    undo_error = models.TextField(blank=True)
    moved_on = models.BooleanField(default=False)
    dropped = models.TextField(blank=True)

    objects = ItemQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["batch", "child", "status"], name="item_child"),
            models.Index(fields=["batch", "status", "index"], name="item_status"),
            models.Index(
                fields=["batch", "signature", "status"], name="item_signature", condition=Q(signature__isnull=False)
            ),
        ]
        constraints: ClassVar = [models.UniqueConstraint(fields=["batch", "index"], name="item_index")]

    def __str__(self) -> str:
        return self.key


class Moment(models.Model):
    """One entry of a batch's time line: what its parents reported beside starts and ends. `note` is a sentence."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="moments")
    kind = models.CharField(max_length=30)
    workflow_id = models.CharField(max_length=200)
    at = models.DateTimeField()
    note = models.TextField(blank=True)
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["at", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "kind", "workflow_id", "at"], name="moment_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.note}"


class Report(models.Model):
    """What was written once the last child of a run had closed; a retry makes another. `content` as reports.py says."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="reports")
    run_id = models.CharField(max_length=64)
    content: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    written_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["batch", "run_id"], name="report_of_run")]

    def __str__(self) -> str:
        return f"Report of {self.batch_id}"


class AuditEntry(models.Model):
    """One thing that a person did to a batch: who, when, to what, with which outcome."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="audit")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    action = models.CharField(max_length=30)
    scope = models.CharField(max_length=200, blank=True)
    outcome = models.TextField(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.scope}"


class ApiToken(models.Model):
    """A bearer token of a person, kept as its SHA-256 only."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name
