"""Retention: rules for how long batches are kept, what is kept of deleted ones, and the runs that delete."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from dashboard.models.choices import OPEN_BATCH_STATUSES, BatchStatus
from orchestration.contracts.status import Status

CLOSED_STATUSES = tuple(status for status in BatchStatus if status not in OPEN_BATCH_STATUSES)


class RetentionRule(models.Model):
    """How long closed batches of a kind are kept: `days` since they closed, or for ever if that is None.

    A condition that is empty fits every batch. `label` is a part of the label, in any case. `outcome` is a status.
    """

    days = models.PositiveIntegerField(null=True, blank=True)
    processor = models.CharField(max_length=100, blank=True)
    tag = models.CharField(max_length=40, blank=True)
    label = models.CharField(max_length=200, blank=True)
    outcome = models.CharField(
        max_length=30, blank=True, choices=[(status.value, status.label) for status in CLOSED_STATUSES]
    )
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["processor", "tag", "label", "outcome", "id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["processor", "tag", "label", "outcome"], name="retention_rule_once"),
        ]

    def __str__(self) -> str:
        conditions = [
            f"{name} {value}"
            for name, value in (("processor", self.processor), ("tag", self.tag), ("label", self.label))
            if value
        ]
        if self.outcome:
            conditions.append(self.outcome.replace("_", " "))
        kept = "for ever" if self.days is None else f"{self.days} days"
        return f"{', '.join(conditions) or 'all batches'}: {kept}"


class DeletedBatch(models.Model):
    """What is kept of a batch that was deleted, or is being deleted while `deleted_at` is None.

    `children` and `items` are numbers by status; `durations` are up to DURATIONS_KEPT evenly spaced of the sorted codes
    of its children's durations (queries.batch_map), `errors` the largest groups: [{"signature", "error_type",
    "template", "number", "of_items"}]. `rule` says in words what deleted it, `bytes` are estimated.
    """

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=32)
    label = models.CharField(max_length=200, blank=True)
    processor = models.CharField(max_length=100)
    definition = models.CharField(max_length=150, blank=True)
    tags: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    status = models.CharField(max_length=30, choices=BatchStatus)
    item_count = models.PositiveIntegerField(default=0)
    child_count = models.PositiveIntegerField(default=0)
    children: models.JSONField[dict[str, int], dict[str, int]] = models.JSONField(default=dict)
    items: models.JSONField[dict[str, int], dict[str, int]] = models.JSONField(default=dict)
    seconds = models.FloatField(null=True, blank=True)
    durations: models.JSONField[list[int], list[int]] = models.JSONField(default=list)
    errors: models.JSONField[list[dict[str, Any]], list[dict[str, Any]]] = models.JSONField(default=list)
    launched_by = models.CharField(max_length=150)
    launched_via = models.CharField(max_length=20)
    schedule = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    rule = models.CharField(max_length=500)
    rows = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    deleted_by = models.CharField(max_length=150)
    begun_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True)

    DURATIONS_KEPT: ClassVar = 200

    class Meta:
        ordering: ClassVar = ["-begun_at", "id"]
        indexes: ClassVar = [models.Index(fields=["processor", "-created_at"], name="deleted_of_processor")]

    def __str__(self) -> str:
        return self.label or self.id

    @property
    def items_by_status(self) -> dict[str, int]:
        """Items by status value, as of a batch."""
        return {status.value: self.items.get(status.value, 0) for status in Status}

    @property
    def shown_status(self) -> str:
        """The status that people saw, as of a batch."""
        return self.status

    @property
    def shown_children(self) -> dict[str, int]:
        """Children by the status that people saw, as of a batch."""
        return self.children

    def elapsed(self, now: datetime) -> float | None:
        """Return the seconds that its newest run took."""
        return self.seconds


class PruneRun(models.Model):
    """One run that deleted what is due, or goes on with it: one whose `seen_at` is old was stopped.

    `by_rule` has for each rule, in words, {"batches", "rows", "bytes"}; `others` rows and files of other kinds by
    name. `longest` is the longest time in seconds that one portion took, and with it the locks that it held.
    """

    started_at = models.DateTimeField(auto_now_add=True)
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    started_by = models.CharField(max_length=150)
    batches = models.PositiveIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    by_rule: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    others: models.JSONField[dict[str, int], dict[str, int]] = models.JSONField(default=dict)
    longest = models.FloatField(default=0)
    error = models.TextField(blank=True)

    STOPPED_AFTER: ClassVar = timedelta(minutes=2)

    class Meta:
        ordering: ClassVar = ["-started_at", "-id"]

    def __str__(self) -> str:
        return f"Prune run of {self.started_at:%Y-%m-%d %H:%M}"
