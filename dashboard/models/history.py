"""What happened to a batch: moments, reports, audit entries."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from dashboard.models.batches import Batch


class Moment(models.Model):
    """One entry of a batch's time line: what its parents reported besides starts and closes. `note` is a sentence."""

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
    """The report of a root's run, written once its last child had closed. `content`: chunk_store.reports.content_of."""

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
    """One action of a person on a batch: who, with which API token if any, when, on what, with which outcome.

    It outlives its batch: `batch_id` stays, and `batch_name` is what the batch was called.
    """

    batch = models.ForeignKey(Batch, on_delete=models.DO_NOTHING, db_constraint=False, related_name="audit")
    batch_name = models.CharField(max_length=200, blank=True, default="", db_default="")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    token = models.CharField(max_length=100, blank=True, default="")
    action = models.CharField(max_length=30)
    scope = models.CharField(max_length=200, blank=True)
    outcome = models.TextField(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.scope}"

    @property
    def actor(self) -> str:
        """Who did it, for a person: the name, and that of the API token."""
        return f"{self.person.get_username()} ({self.token})" if self.token else str(self.person.get_username())

    @property
    def not_known_since(self) -> datetime | None:
        """When Temporal was asked, while it is not known what came of that."""
        unanswered: UnansweredCommand | None = getattr(self, "unanswered", None)
        return unanswered.sent_at if unanswered is not None and unanswered.settled_at is None else None


class UnansweredCommand(models.Model):
    """A command that Temporal did not answer, and what came of it once that is known.

    `mark` is the command's id in Temporal, `inquiries` what to ask for: orchestration.temporal.commands.Inquiry as
    data. Of an operation, `reserved` are the children whose outcome is not known: [[position, attempt that had closed,
    operation before], …], and `resumes_flow` says whether a stopped flow was to go on.
    """

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="unanswered")
    audit = models.OneToOneField(AuditEntry, on_delete=models.CASCADE, related_name="unanswered")
    operation = models.ForeignKey("dashboard.Operation", null=True, on_delete=models.CASCADE, related_name="unanswered")
    mark = models.CharField(max_length=64)
    inquiries: models.JSONField[Any, Any] = models.JSONField(default=list)
    reserved: models.JSONField[Any, Any] = models.JSONField(default=list)
    resumes_flow = models.BooleanField(default=False)
    sent_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["sent_at", "id"]
        indexes: ClassVar = [
            models.Index(fields=["sent_at"], condition=models.Q(settled_at=None), name="unanswered_open"),
        ]

    def __str__(self) -> str:
        return f"{self.audit.action} of {self.batch_id}"
