"""Deleted batches: what is kept of them. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from dashboard.i18n.formatting import StrOrPromise
from dashboard.models import AuditEntry, DeletedBatch
from dashboard.queries.batch_map import seconds_from_code
from dashboard.queries.timeline import DONE

AUDIT_SHOWN = 200


@dataclass(frozen=True)
class DeletedPage:
    """Context of the page at a deleted batch's former address.

    `durations` are quantiles in seconds, by name; `audit` has what people did, each with the words for it.
    """

    batch: DeletedBatch
    durations: Sequence[tuple[str, float]]
    audit: Sequence[tuple[AuditEntry, StrOrPromise]]


def deleted_batch(batch_id: str) -> DeletedBatch | None:
    """Return what is kept of a batch that was deleted, or is being deleted."""
    return DeletedBatch.objects.filter(pk=batch_id).first()


def deleted_page(batch: DeletedBatch) -> DeletedPage:
    """Return the context of a deleted batch's page."""
    codes = batch.durations
    shares = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), (_("Max"), 1.0))
    last = len(codes) - 1
    quantiles = [
        (name, seconds_from_code(codes[min(last, int(share * len(codes)))])) for name, share in shares if codes
    ]
    audit = AuditEntry.objects.filter(batch_id=batch.pk).select_related("person")[:AUDIT_SHOWN]
    return DeletedPage(batch, quantiles, [(entry, DONE.get(entry.action, entry.action)) for entry in audit])


def deleted_words(batch: DeletedBatch) -> str:
    """Return in a sentence that a batch was deleted, when, and by which rule."""
    at = date_format(localtime(batch.deleted_at or batch.begun_at), "DATETIME_FORMAT")
    return _("Batch %(id)s was deleted on %(at)s by the retention rule “%(rule)s”.") % {
        "id": batch.pk,
        "at": at,
        "rule": batch.rule,
    }
