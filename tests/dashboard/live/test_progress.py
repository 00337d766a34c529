"""Progress counts the items that a batch was given, once, however many stages they pass."""

from __future__ import annotations

import pytest

from dashboard.live.progress import progress_of
from dashboard.models import Batch, Node
from orchestration.contracts.events import NodeKind
from tests.support.builders import MakeBatch

pytestmark = pytest.mark.django_db


def stage(batch: Batch, label: str, position: int, length: int, **counts: int) -> None:
    Node.objects.create(
        batch=batch,
        kind=NodeKind.STAGE,
        label=label,
        position=position,
        workflow_id=f"{batch.pk}/{position}",
        offset=0,
        length=length,
        **{f"items_{status}": number for status, number in counts.items()},
    )


def test_items_of_a_pipeline_count_once(make_batch: MakeBatch) -> None:
    batch = make_batch(items=4)
    assert progress_of(batch) == batch.shown_items | {"total": 4}, "items, where there are no stages"
    batch.final_stage, batch.status = "load", "running"
    assert progress_of(batch)["total"] == 4, "before the first stage has begun"
    stage(batch, "check", 0, 200, completed=185, failed=5, running=10)
    stage(batch, "price", 1, 175, completed=100, failed=15, pending=60)
    stage(batch, "load", 2, 100, completed=48, failed=2, running=30, pending=20)
    stage(batch, "load", 3, 3, completed=3)
    seen = {status: number for status, number in progress_of(batch).items() if number}
    assert seen == {"total": 200, "completed": 51, "failed": 22, "running": 40, "pending": 87}
    batch.status = "completed_with_failures"
    assert progress_of(batch)["skipped"] == 87, "what no stage took on, once it is over"
    batch.watched_id, batch.children_running, batch.child_count = "other", 3, 3
    assert progress_of(batch)["total"] == 3, "a watched one has no items"
