"""Rows that Temporal's visibility does not have: their parents know them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from dashboard.definitions.saving import create
from dashboard.models import Node
from dashboard.projection.events import apply_events
from dashboard.projection.retries import requeue
from dashboard.reconciliation import reconciler
from dashboard.reconciliation.reconciler import BatchReconciler
from dashboard.reconciliation.repair import repair_runs
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts import events
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.status import Failure, Status
from orchestration.contracts.workflow_ids import rollback_id, root_id
from tests.support.builders import START, child_of, root_of
from tests.support.oracle import assert_consistent
from tests.support.reconciled import shows, statuses, written

pytestmark = pytest.mark.django_db(transaction=True)

FAILING_SAGA = """
kind: saga
steps:
  - name: reserve
    processor: simulate
    parameters: {seconds_from: 0, seconds_to: 0}
    compensation: {processor: simulate, parameters: {seconds_from: 0, seconds_to: 0}}
  - name: charge
    processor: simulate
    parameters: {seconds_from: 0, seconds_to: 0, fail_percent: 100}
plan: {item_attempts: 1}
"""


@pytest.mark.parametrize("per_query", [events.UNDELIVERED_PER_QUERY, 2])
async def test_rows_that_only_their_parent_knows_are_asked_of_it(
    running_reconciler: None, operator: User, monkeypatch: pytest.MonkeyPatch, per_query: int
) -> None:
    monkeypatch.setattr(events, "UNDELIVERED_PER_QUERY", per_query)
    version = await sync_to_async(create)(operator, f"undone {per_query}", FAILING_SAGA)
    batch = await written(operator, 0, {}, processor="saga", definition=version.pk)
    await shows(batch, "rolled_back")
    found = Node.objects.filter(batch=batch).exclude(kind=NodeKind.ROOT).order_by("position")
    assert [node async for node in found.values_list("label", "kind", "status")] == [
        ("reserve", "step", "completed"),
        ("charge", "step", "failed"),
        ("rollback", "rollback", "completed"),
    ]


async def test_rollbacks_that_ended_unreported_have_rows_below_what_they_undo(operator: User) -> None:
    batch = await written(operator, 1_200)
    children = Node.objects.filter(batch=batch, kind=NodeKind.CHILD)
    await children.filter(position=701).aupdate(workflow_id="resource-host")
    now, root = datetime.now(UTC), root_id(batch.pk)
    closed = [
        WorkflowRun(
            *(rollback_id(batch.pk, child, 1), f"run-{child}", Status.TERMINATED, now, now),
            failure=Failure("Terminated", "by hand"),
            workflow_type="ChunkWorkflow",
            parent=f"{root}/p1",
            root=root,
        )
        for child in (700, 701)
    ]
    for _ in range(2):
        await repair_runs(batch.pk, closed)
    rows = Node.objects.filter(batch=batch, kind=NodeKind.ROLLBACK).order_by("position")
    shown = rows.values_list("parent__workflow_id", "label", "position", "offset", "length", "status", "error_message")
    assert [row async for row in shown] == [
        (f"{root}/p1/c700", "rollback", 700, 700, 1, "terminated", "by hand"),
        ("resource-host", "rollback", 701, 701, 1, "terminated", "by hand"),
    ]
    await sync_to_async(assert_consistent)(batch.pk)


async def test_a_retry_that_temporal_no_longer_knows_is_taken_back(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporal's database was lost when a retry was accepted and had not begun."""
    monkeypatch.setattr(reconciler, "LASTING_DIFFERENCE", timedelta(microseconds=1))
    batch = await written(operator, 1)

    def retried() -> None:
        nodes = (root_of(batch), child_of(batch, 0))
        ids = {node.workflow_id: str(uuid4()) for node in nodes}
        for kind, outcome in ((EventKind.STARTED, None), (EventKind.CLOSED, Status.FAILED)):
            apply_events(batch.pk, [TreeEvent(kind, name, run, START, outcome) for name, run in ids.items()])
        requeue(batch.pk, {0: 1})

    await sync_to_async(retried)()
    assert await statuses(batch) == ("running", ["pending"])
    watch = BatchReconciler(batch.pk)
    assert not await watch.compare(), "the difference may pass"
    assert await watch.compare()
    assert await statuses(batch) == ("failed", ["failed"])
    assert batch.lost_at is not None
    await sync_to_async(assert_consistent)(batch.pk)
