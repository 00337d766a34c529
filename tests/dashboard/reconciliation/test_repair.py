"""Rows that Temporal's visibility does not have: their parents know them."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User

from dashboard.definitions.saving import create
from dashboard.models import Node
from orchestration.contracts import events
from orchestration.contracts.events import NodeKind
from tests.support.reconciled import shows, written

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
