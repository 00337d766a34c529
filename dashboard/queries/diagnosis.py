"""Diagnosis: whether a batch makes progress, and if not, why, as far as Temporal knows. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from asgiref.sync import async_to_sync
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.i18n.formatting import numeral
from dashboard.models import Attempt, Batch, Node
from dashboard.temporal import gateway
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import entity_id
from orchestration.diagnosis.findings import Finding, FindingCode, Severity
from orchestration.temporal.connection import TemporalSlow, TemporalUnavailable

IDLE_AFTER = timedelta(seconds=10)
"""A batch that has not changed for this long makes no progress."""

MAX_ENTITIES = 10


@dataclass(frozen=True)
class Diagnosis:
    """Context of the panel, and response of the API."""

    moving: bool
    findings: Sequence[Finding]


def diagnosis_of(batch: Batch, workflow_id: str = "") -> Diagnosis:
    """Return what keeps a batch, or one workflow of it, from making progress."""
    try:
        beside = [] if workflow_id else entities_of(batch)
        findings = async_to_sync(gateway().diagnose)(batch.pk, workflow_id or batch.watched_id, beside)
    except TemporalUnavailable as error:
        findings = [_unreachable(batch, error)]
    if [finding.code for finding in findings] == [FindingCode.NOT_STARTED]:
        findings = [_gone(finding) if _has_run(batch, finding.subject) else finding for finding in findings]
    if not workflow_id and not batch.is_open:  # the record has caught up
        findings = [finding for finding in findings if finding.code is not FindingCode.CLOSED]
    return Diagnosis(is_moving(batch), [_counted(batch, finding) for finding in findings])


def entities_of(batch: Batch) -> list[str]:
    """Return workflow ids of entities that have operations of a batch, the first MAX_ENTITIES: trees of their own."""
    entities = Node.objects.filter(batch=batch, kind=NodeKind.ENTITY, status=Status.RUNNING).order_by("pk")
    return [entity_id(batch.processor, name) for name in entities.values_list("label", flat=True)[:MAX_ENTITIES]]


def is_moving(batch: Batch) -> bool:
    """Whether a batch has changed within IDLE_AFTER."""
    return batch.changed_at is not None and timezone.now() - batch.changed_at < IDLE_AFTER


def _counted(batch: Batch, finding: Finding) -> Finding:
    """Say of a pause how many children wait: that is known here, while a parent may count partitions."""
    if finding.code is not FindingCode.PAUSED:
        return finding
    waiting = ngettext("%(number)s child is pending.", "%(number)s children are pending.", batch.children_pending) % {
        "number": numeral(batch.children_pending)
    }
    return replace(finding, what=f"{finding.what} {waiting}")


def _has_run(batch: Batch, workflow_id: str) -> bool:
    return Attempt.objects.filter(batch=batch, node__workflow_id=workflow_id).exclude(run_id="").exists()


def _gone(finding: Finding) -> Finding:
    what = _("Temporal no longer has the history of this workflow.")
    advice = _("It has run, and its retention is over, or it was deleted there. Canopy keeps its results.")
    return Finding(FindingCode.HISTORY_GONE, Severity.INFO, finding.subject, what, advice)


def _unreachable(batch: Batch, error: TemporalUnavailable) -> Finding:
    if isinstance(error, TemporalSlow):
        what = _("Temporal answers, but slowly: it took longer than 5 s to find the open workflows.")
        advice = _("The batch continues meanwhile. This is checked again every few seconds.")
        return Finding(FindingCode.TEMPORAL_AWAY, Severity.WARNING, batch.pk, what, advice)
    what = _("Can't reach Temporal.")
    advice = _("Nothing is lost: batches continue automatically once it is back. Check the Temporal server.")
    return Finding(FindingCode.TEMPORAL_AWAY, Severity.PROBLEM, batch.pk, what, advice, str(error))
