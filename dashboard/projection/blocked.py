"""Blocked batches: workflows of theirs fail their workflow task again and again, as Temporal says."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q

from dashboard.database.sanitising import text
from dashboard.models import Batch, Node
from dashboard.projection.ledger import Ledger, open_ledger
from orchestration.contracts.status import Status
from orchestration.diagnosis.task_failures import TaskFailure

NOTE = "Workflow task failing: "
"""Begins the note of a node whose workflow is one of them."""


def set_blocked(batch_id: str, failures: Sequence[TaskFailure]) -> None:
    """Record which workflows of a batch fail their task, and at their nodes why; none: it is blocked no longer."""
    with open_ledger(batch_id) as ledger:
        batch = ledger.batch
        if not failures:
            batch.blocked, batch.blocked_since = {}, None
        else:
            first = min(failures, key=lambda failure: failure.since)
            batch.blocked = {
                "workflows": sorted(failure.workflow_id for failure in failures),
                "workflow_id": first.workflow_id,
                "workflow_type": first.workflow_type,
                "reason": text(first.error),
            }
            batch.blocked_since = first.since
        _set_notes(ledger, {failure.workflow_id: NOTE + text(failure.error) for failure in failures})


def _set_notes(ledger: Ledger, notes: dict[str, str]) -> None:
    affected = Q(workflow_id__in=notes) | Q(note__startswith=NOTE)
    for node in ledger.track(Node.objects.filter(affected, batch=ledger.batch, status=Status.RUNNING)):
        node.note = notes.get(node.workflow_id, "")


def is_known(batch: Batch, failures: Sequence[TaskFailure]) -> bool:
    """Whether a batch is recorded as blocked by just these failures."""
    ids = sorted(failure.workflow_id for failure in failures)
    if not ids:
        return batch.blocked_since is None
    first = min(failures, key=lambda failure: failure.since)
    return (ids, text(first.error)) == (batch.blocked.get("workflows"), batch.blocked.get("reason"))
