"""Workflows without rows: those of a stage that was begun anew after a loss are no loss any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from dashboard.database.threads import in_thread
from dashboard.models import Batch
from dashboard.projection.events import apply_events
from dashboard.reconciliation import unrecorded
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.names import CHUNK_WORKFLOW, FAN_OUT_WORKFLOW
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import WorkflowTree, child_id, partition_id, stage_id
from tests.support.builders import START, MakeBatch, close_root, root_of, start_root, started

pytestmark = pytest.mark.django_db(transaction=True)


async def test_sections_from_before_a_retry_of_what_was_lost_count_no_more(
    make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await in_thread(make_batch)(items=2, chunk_size=1)
    of_section, of_page = child_id(batch.pk, 7, None, 2), partition_id(batch.pk, 3)

    class Gateway:
        """Lists a section, its child and a page, which began when the batch did."""

        async def runs(self, tree: WorkflowTree) -> AsyncIterator[WorkflowRun]:
            types = {stage_id(batch.pk, 2): FAN_OUT_WORKFLOW, of_section: CHUNK_WORKFLOW, of_page: FAN_OUT_WORKFLOW}
            for name, workflow_type in types.items():
                yield WorkflowRun(name, "run", Status.COMPLETED, START, workflow_type=workflow_type)

    monkeypatch.setattr(unrecorded, "gateway", Gateway)
    await in_thread(start_root)(batch)
    await in_thread(close_root)(batch)

    async def noted() -> int:
        await unrecorded.take_over_unrecorded(await in_thread(Batch.objects.get)(pk=batch.pk))
        return (await in_thread(Batch.objects.get)(pk=batch.pk)).unrecorded

    assert await noted() == 3
    noticed = START + timedelta(minutes=1)
    await in_thread(Batch.objects.filter(pk=batch.pk).update)(lost_at=noticed)
    assert await noted() == 3, "the root has not begun again since"
    root = await in_thread(root_of)(batch)
    await in_thread(apply_events)(batch.pk, [started(root, 2, noticed + timedelta(minutes=1))])
    assert await noted() == 1, "no retry reads a lost page again"
