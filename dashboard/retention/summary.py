"""What is kept of a batch that is deleted: who launched what and when, its counts, durations and errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dashboard.models import Batch, DeletedBatch, Node
from dashboard.queries.batch_map import duration_code
from dashboard.queries.error_groups import failures_of
from dashboard.retention.rules import Due
from dashboard.retention.weight import Weight
from orchestration.contracts.events import NodeKind
from orchestration.errors.signatures import template_of

ERRORS_KEPT = 50
TEXT_KEPT = 500


def summary_of(batch: Batch, due: Due, weight: Weight, by: str, now: datetime) -> DeletedBatch:
    """Return what is kept of a batch, not stored yet."""
    version = batch.definition
    return DeletedBatch(
        id=batch.pk,
        label=batch.label,
        processor=batch.processor,
        definition=str(version)[:150] if version is not None else "",
        tags=list(batch.tags.values_list("name", flat=True)),
        status=batch.status,
        item_count=batch.item_count,
        child_count=batch.child_count,
        children=batch.children,
        items=batch.items_by_status,
        seconds=batch.elapsed(now),
        durations=_evenly(_durations(batch), DeletedBatch.DURATIONS_KEPT),
        errors=_errors(batch),
        launched_by=batch.launched_by.get_username(),
        launched_via=batch.launched_via,
        schedule=batch.schedule.name if batch.schedule is not None else "",
        created_at=batch.created_at,
        opened_at=batch.opened_at,
        closed_at=batch.closed_at,
        rule=due.rule[:500],
        rows=weight.rows,
        bytes=weight.bytes,
        deleted_by=by[:150],
        begun_at=now,
    )


def _durations(batch: Batch) -> list[int]:
    children = Node.objects.filter(batch=batch, kind=NodeKind.CHILD, duration__isnull=False).order_by("duration")
    return [duration_code(seconds) for seconds in children.values_list("duration", flat=True)]


def _evenly(values: Sequence[int], most: int) -> list[int]:
    """Return up to so many of some sorted values, the first and the last among them, so that quantiles stay."""
    if len(values) <= most:
        return list(values)
    return [values[round(place * (len(values) - 1) / (most - 1))] for place in range(most)]


def _errors(batch: Batch) -> list[dict[str, object]]:
    found = sorted((each for each in failures_of(batch) if each.number), key=lambda each: -each.number)
    return [
        {
            "signature": each.signature,
            "error_type": each.sample.error_type,
            "template": template_of(each.sample.message)[:TEXT_KEPT],
            "number": each.number,
            "of_items": each.of_items,
        }
        for each in found[:ERRORS_KEPT]
        if each.sample is not None
    ]
