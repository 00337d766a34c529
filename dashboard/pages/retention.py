"""Context of the page of retention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asgiref.sync import async_to_sync
from django.conf import settings

from dashboard.accounts.permissions import Person, may_operate
from dashboard.forms.retention import RetentionRuleForm
from dashboard.models import Batch, DeletedBatch, PruneRun, RetentionRule
from dashboard.retention.runs import Preview, preview
from dashboard.retention.weight import database_bytes, free_bytes
from dashboard.temporal import gateway
from orchestration.temporal.connection import TemporalUnavailable

RUNS_SHOWN = 10


@dataclass(frozen=True)
class RetentionPage:
    """Rules with the form of a new one, what a run would delete if that was asked for, and the last runs.

    `default_days` is 0 where batches that no rule fits are kept for ever; `next_at` is None where nothing is scheduled
    or Temporal does not answer.
    """

    rules: Sequence[RetentionRule]
    form: RetentionRuleForm
    may_operate: bool
    default_days: int
    trail_days: int
    database: int
    free: int
    kept: int
    deleted: int
    runs: Sequence[PruneRun]
    next_at: datetime | None
    preview: Preview | None = None


def retention_page(
    person: Person, form: RetentionRuleForm | None = None, *, asks_preview: bool = False
) -> RetentionPage:
    """Return the context of the page."""
    return RetentionPage(
        rules=list(RetentionRule.objects.select_related("made_by")),
        form=form or RetentionRuleForm(),
        may_operate=may_operate(person),
        default_days=settings.CANOPY_RETENTION_DAYS,
        trail_days=settings.CANOPY_TRAIL_DAYS,
        database=database_bytes(),
        free=free_bytes(),
        kept=Batch.objects.filter(keep=True).count(),
        deleted=DeletedBatch.objects.count(),
        runs=list(PruneRun.objects.all()[:RUNS_SHOWN]),
        next_at=_next_at(),
        preview=preview() if asks_preview else None,
    )


def _next_at() -> datetime | None:
    try:
        return async_to_sync(gateway().prune_schedule.next_time)()
    except TemporalUnavailable:
        return None
