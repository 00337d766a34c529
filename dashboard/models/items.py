"""Items and their results, which `chunk_store` writes."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from dashboard.database.json_values import StoredSize
from dashboard.models.batches import Batch
from dashboard.models.choices import NodeStatus
from dashboard.models.nodes import Node
from orchestration.contracts.events import NodeKind

SMALL_RESULT = 256 * 1024
"""Largest result that is read for a row of a table, in bytes as stored; a picture of 200 kB is shown in one."""


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

    def with_small_result(self) -> models.QuerySet[Any, Any]:
        """Annotate `result_size`, and `small_result`: the result, or nothing if that is larger than SMALL_RESULT."""
        small = models.Case(
            models.When(result_size__lte=SMALL_RESULT, then=models.F("result")), output_field=models.JSONField()
        )
        return self.annotate(result_size=StoredSize("result")).annotate(small_result=small)


class Item(models.Model):
    """One record of the input and what became of it.

    `status` is pending, completed or failed; a pending item is shown with its child's status. `run_id` is the child's
    run that wrote the result. In a pipeline a completed item has `moved_on` once the next stage was written, and
    `dropped` says why that did not get it. `undone_at` is set once a rollback has undone the item, `undo_error` if it
    could not. `earlier` has the failures of earlier runs, oldest first: [{"attempts", "type", "message", "at"}].
    `signature` is that of the newest failure, and stays once a retry succeeds.
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

    @property
    def is_too_large(self) -> bool:
        """Whether its result is too large for a row, of an item that was read with `with_small_result`."""
        size: int | None = getattr(self, "result_size", None)
        return size is not None and size > SMALL_RESULT


class BegunItem(models.Model):
    """Note that an item was begun, written where a worker had been lost with its chunk: most items have none.

    `run_id` is the child's run, `token` names one pass of one process over the chunk. A note of an item without a
    result, of a pass that has ended, counts one worker that was lost with it.
    """

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="begun_items")
    index = models.PositiveIntegerField()
    run_id = models.CharField(max_length=64)
    token = models.CharField(max_length=32)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["batch", "index", "run_id", "token"], name="begun_item")
        ]

    def __str__(self) -> str:
        return f"{self.index} in {self.run_id}"
