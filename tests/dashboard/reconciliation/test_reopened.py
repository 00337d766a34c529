"""Settled batches of which something runs again in Temporal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from dashboard.reconciliation import reconciler, reopened
from tests.support.builders import child_of
from tests.support.reconciled import AT_ONCE, shows, written
from tests.support.stack import TemporalServer
from tests.support.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


async def test_a_child_reset_in_temporal_shows_although_its_batch_was_settled(
    running_reconciler: None, operator: User, own_temporal: TemporalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reopened, "LOOK_EVERY", timedelta(seconds=1))
    batch = await written(operator, 2, {**AT_ONCE, "fail_percent": 100})
    await shows(batch, "completed_with_failures", "failed", "failed")
    child = await sync_to_async(child_of)(batch, 1)

    async def is_settled() -> bool:
        return batch.pk not in [pk for pk, _ in await sync_to_async(reconciler._unsettled)()]

    await until(is_settled, "nobody compares it")
    options = ("--workflow-id", child.workflow_id, "--type", "FirstWorkflowTask", "--reason", "by hand")
    own_temporal.cli("workflow", "reset", *options)

    async def ran_again() -> bool:
        await child.arefresh_from_db()
        return (child.attempt, child.status) == (2, "failed")

    await until(ran_again, "the second attempt is known", 60)
    await shows(batch, "completed_with_failures", "failed", "failed")
