"""States of stopped flows: kept while Temporal still has them, and read by a retry that comes after."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta

from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from dashboard.models import OPEN_BATCH_STATUSES, Batch, FlowStateRecord, Node
from orchestration.contracts.events import NodeKind
from orchestration.contracts.flows import FlowState
from orchestration.contracts.status import Status
from orchestration.contracts.step_results import content_of, text_of
from orchestration.definitions.models import RESUMABLE_KINDS

LOOKED_AT = timedelta(days=90)
"""Flows that ended before have no history any more in most namespaces."""

AT_ONCE = 20


def flows_to_keep() -> list[tuple[str, str]]:
    """Return the newest flows that have ended and whose state is not kept: (batch, run of its root)."""
    since = timezone.now() - LOOKED_AT
    kept = FlowStateRecord.objects.filter(batch=OuterRef("batch"), run_id=OuterRef("run_id"))
    roots = Node.objects.filter(
        kind=NodeKind.ROOT,
        status__in=[status for status in Status if status.is_outcome],
        batch__processor__in=RESUMABLE_KINDS,
        batch__definition__isnull=False,
        batch__closed_at__gte=since,
    ).exclude(batch__status__in=OPEN_BATCH_STATUSES)
    found = roots.filter(~Exists(kept), attempt__gt=0).order_by(F("batch__closed_at").desc())
    return list(found.values_list("batch_id", "run_id")[:AT_ONCE])


def keep_state(batch_id: str, run_id: str, state: FlowState | None) -> None:
    """Keep the state in which a run ended, or note that there is none to keep. Does nothing once another run began."""
    root = Node.objects.filter(batch=batch_id, kind=NodeKind.ROOT, run_id=run_id).first()
    if root is None or not Status(root.status).is_outcome:
        return
    content = content_of(asdict(state)) if state is not None else b""
    FlowStateRecord.objects.update_or_create(batch_id=batch_id, defaults={"run_id": run_id, "content": content})


def kept_state(batch: Batch) -> FlowState | None:
    """Return the state in which the newest run of a flow ended, if it is kept."""
    if not batch.may_go_on:
        return None
    newest = Node.objects.filter(batch=batch, kind=NodeKind.ROOT).values("run_id")[:1]
    found = FlowStateRecord.objects.filter(batch=batch, run_id=newest).first()
    return FlowState(**json.loads(text_of(bytes(found.content)))) if found is not None and found.content else None
