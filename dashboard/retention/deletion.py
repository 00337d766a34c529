"""Deletion of a batch: claimed, summarised, then taken away in portions, the batch itself last.

A claim and whatever a person does to a batch write the same row, so that one of them finds that the other came first.
From the claim on the batch is gone for everything else. Whoever is stopped in the middle leaves it to the next run.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from dashboard.database.deleting import Portions, delete_rows
from dashboard.models import AuditEntry, Batch, DeletedBatch, Node
from dashboard.retention.rules import Due, Policy, deletable
from dashboard.retention.summary import summary_of
from dashboard.retention.tables import OF_A_BATCH
from dashboard.retention.weight import Weight

KEYS_AT_ONCE = 50_000
"""Primary keys that are read together: memory stays flat whatever a batch's size."""


def claim(due: Due, weight: Weight, policy: Policy, by: str) -> bool:
    """Begin to delete a batch, unless it is not due any more; return whether it was claimed.

    Whether it is due is asked again while its row is locked: it may have been retried or marked since. The summary is
    made before, because to read a large batch takes longer than a lock may.
    """
    now = timezone.now()
    if (batch := _due(due.batch, policy, now)) is None:
        return False
    summary = summary_of(batch, due, weight, by, now)
    with transaction.atomic():
        Batch.objects.select_for_update().filter(pk=due.batch).first()
        again = _due(due.batch, policy, timezone.now())
        if again is None or again.revision != batch.revision:
            return False
        DeletedBatch.objects.filter(pk=batch.pk).delete()
        summary.save(force_insert=True)
        Batch.objects.filter(pk=batch.pk).update(deleting_since=now, idempotency_key=None)
    return True


def _due(batch_id: str, policy: Policy, now: datetime) -> Batch | None:
    """Return a batch if it may be deleted."""
    found = deletable(now).select_related("launched_by", "schedule", "definition__definition").defer("definition__text")
    batch: Batch | None = found.filter(pk=batch_id).first()
    return batch if batch is not None and _is_due(batch, policy, now) else None


def _is_due(batch: Any, policy: Policy, now: datetime) -> bool:
    decision = policy.of(batch, list(batch.tags.values_list("name", flat=True)))
    return decision.kept is not None and batch.ended_at <= now - decision.kept


def unfinished() -> list[str]:
    """Return the batches whose deletion was begun and not finished."""
    return list(Batch.everything.filter(deleting_since__isnull=False).order_by("pk").values_list("pk", flat=True))


def delete(batch_id: str, portions: Portions) -> None:
    """Delete a batch that is claimed. May be called again for one that was deleted in part."""
    for model, field in OF_A_BATCH:
        for keys in _keys(model, field, batch_id):
            portions.delete(model, keys)
    with transaction.atomic():
        for model, field in OF_A_BATCH:  # what came in meanwhile
            if left := list(model._default_manager.filter(**{field: batch_id}).values_list("pk", flat=True)):
                portions.rows += delete_rows(model, left)
        summary = DeletedBatch.objects.filter(pk=batch_id)
        name = str(summary.get())
        AuditEntry.objects.filter(batch=batch_id, batch_name="").update(batch_name=name)
        portions.rows += delete_rows(Batch, [batch_id])
        summary.update(deleted_at=timezone.now())


def _keys(model: type[models.Model], field: str, batch_id: str) -> Iterator[list[Any]]:
    """Yield the primary keys of a batch's rows; of nodes those without any below them before the others."""
    rows = model._default_manager.filter(**{field: batch_id}).order_by()
    while True:
        above = _parents(batch_id) if model is Node else set[int]()
        keys = list[Any]()
        for key in rows.values_list("pk", flat=True).iterator(chunk_size=5_000):
            if key not in above:
                keys.append(key)
                if len(keys) == KEYS_AT_ONCE:
                    break
        if not keys:
            return
        yield keys


def _parents(batch_id: str) -> set[int]:
    """Return the nodes that have others below them."""
    below = Node.objects.filter(batch=batch_id, parent__isnull=False).order_by()
    return {parent for parent in below.values_list("parent", flat=True).distinct() if parent is not None}
