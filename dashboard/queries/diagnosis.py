"""Diagnosis: whether a batch makes progress, and if not, why, as far as Temporal knows. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from asgiref.sync import async_to_sync
from django.utils import timezone
from django.utils.translation import gettext as _

from dashboard.models import Batch
from dashboard.temporal import gateway
from orchestration.diagnosis.findings import Finding, FindingCode, Severity
from orchestration.temporal.connection import TemporalUnavailable

IDLE_AFTER = timedelta(seconds=10)
"""A batch that has not changed for this long makes no progress."""


@dataclass(frozen=True)
class Diagnosis:
    """Context of the panel, and response of the API."""

    moving: bool
    findings: Sequence[Finding]


def diagnosis_of(batch: Batch, workflow_id: str = "") -> Diagnosis:
    """Return what keeps a batch, or one workflow of it, from making progress."""
    try:
        findings = async_to_sync(gateway().diagnose)(batch.pk, workflow_id or batch.watched_id)
    except TemporalUnavailable as error:
        findings = [_unreachable(batch, error)]
    return Diagnosis(is_moving(batch), findings)


def is_moving(batch: Batch) -> bool:
    """Whether a batch has changed within IDLE_AFTER."""
    return batch.changed_at is not None and timezone.now() - batch.changed_at < IDLE_AFTER


def _unreachable(batch: Batch, error: TemporalUnavailable) -> Finding:
    what = _("Can't reach Temporal.")
    advice = _("Nothing is lost: batches continue automatically once it is back. Check the Temporal server.")
    return Finding(FindingCode.TEMPORAL_AWAY, Severity.PROBLEM, batch.pk, what, advice, str(error))
