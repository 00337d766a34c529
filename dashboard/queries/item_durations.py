"""How long an item of a processor takes, by what it took before."""

from __future__ import annotations

from statistics import fmean

from dashboard.models import Batch, BatchStatus, Item

SAMPLED = 200
"""Items of the last batch whose durations are averaged."""


def seconds_per_item(processor: str) -> float | None:
    """Return the mean duration of items of the last batch of a processor that completed; None if there is none."""
    last = Batch.objects.filter(processor=processor, status=BatchStatus.COMPLETED).order_by("-created_at").first()
    if last is None:
        return None
    found = Item.objects.filter(batch=last, duration__isnull=False).order_by("index")
    durations = [each for each in found.values_list("duration", flat=True)[:SAMPLED] if each is not None]
    return fmean(durations) if durations else None
