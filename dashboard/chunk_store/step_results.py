"""Results of steps: written once for what a step returned, and read by their digest."""

from __future__ import annotations

from django.utils import timezone

from dashboard.models import Batch, Item, StepResult
from orchestration.contracts import step_results


def write(result: step_results.StepResult) -> None:
    """Write a result. Raises LookupError for a batch that is gone."""
    if not Batch.objects.filter(pk=result.batch_id).exists():
        raise LookupError(f"Batch {result.batch_id} does not exist.")
    row = StepResult(
        batch_id=result.batch_id,
        step=result.step,
        digest=result.id,
        size=result.size,
        content=result.content,
        written_at=timezone.now(),
    )
    StepResult.objects.bulk_create(
        [row], update_conflicts=True, update_fields=["written_at"], unique_fields=["batch", "digest", "step"]
    )


def read(batch_id: str, digest: str) -> bytes:
    """Return the content of a result, or of an item's data by its reference. Raises LookupError where there is none."""
    if (index := step_results.referred_item(digest)) is not None:
        return _item_data(batch_id, index)
    found = StepResult.objects.filter(batch=batch_id, digest=digest).values_list("content", flat=True).first()
    if found is None:
        raise LookupError(f"The result {digest} of a step of batch {batch_id} is gone: launch the batch again.")
    return bytes(found)


def _item_data(batch_id: str, index: int) -> bytes:
    found = list(Item.objects.filter(batch=batch_id, index=index).values_list("data", flat=True))
    if not found:
        raise LookupError(f"Batch {batch_id} has no item {index}.")
    return step_results.content_of(found[0])
