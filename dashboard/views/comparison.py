"""Two batches side by side."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from dashboard.models import Batch, DeletedBatch
from dashboard.queries.comparison import BatchComparison, candidates, compare


@require_safe
def batch_compare(request: HttpRequest, batch_id: str) -> HttpResponse:
    """Compare a batch with the one in `with`, by default the newest one launched before it."""
    batches = Batch.objects.select_related("launched_by")
    batch = get_object_or_404(batches, id=batch_id)
    chosen = request.GET.get("with", "")
    of_processor = batches.filter(processor=batch.processor).exclude(pk=batch.pk)
    other: Batch | DeletedBatch | None = of_processor.filter(pk=chosen).first()
    if chosen and other is None:
        other = DeletedBatch.objects.filter(pk=chosen, processor=batch.processor).first()
    if chosen and other is None:
        raise Http404(_("This processor has no such batch."))
    if not chosen:
        before = of_processor.filter(created_at__lt=batch.created_at)
        other = before.filter(label=batch.label).first() or before.first()
    page = compare(batch, other) if other is not None else BatchComparison(batch, None, candidates(batch))
    return render(request, "batches/batch_compare.html", {"page": page, "batch": batch, "chosen": other})
