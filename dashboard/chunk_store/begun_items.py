"""Notes of items that were begun where a worker may be lost with them, and how often one was."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Count

from dashboard.models import Batch, BegunItem
from orchestration.contracts.chunks import BegunItems, ChunkInput


def note(begun: BegunItems) -> list[int]:
    """Write notes, each once, and return how many each item has of other passes; none for a batch that is gone."""
    if not Batch.objects.filter(pk=begun.batch_id).exists():
        return [0] * len(begun.indices)
    rows = [
        BegunItem(batch_id=begun.batch_id, index=index, run_id=begun.run_id, token=begun.token)
        for index in begun.indices
    ]
    BegunItem.objects.bulk_create(rows, ignore_conflicts=True)
    others = BegunItem.objects.filter(batch=begun.batch_id, index__in=begun.indices, run_id=begun.run_id)
    ends = dict(others.exclude(token=begun.token).values_list("index").annotate(Count("pk")))
    return [ends.get(index, 0) for index in begun.indices]


def forget(begun: BegunItems) -> None:
    """Delete notes of a pass."""
    BegunItem.objects.filter(
        batch=begun.batch_id, index__in=begun.indices, run_id=begun.run_id, token=begun.token
    ).delete()


def ends_of(work: ChunkInput, run_id: str) -> Mapping[int, int]:
    """Return how often the items of a slice were begun in a run of their child and noted, by index."""
    noted = BegunItem.objects.filter(
        batch=work.batch_id, index__gte=work.offset, index__lt=work.offset + work.length, run_id=run_id
    )
    return dict(noted.values_list("index").annotate(Count("pk")))
