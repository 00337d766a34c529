"""Bulk actions say before the confirmation what they affect, and afterwards what was done."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.actions.bulk import BulkAction, preview
from dashboard.models import Batch
from orchestration.contracts.status import Status
from tests.support.builders import close_root, make_batch, run_children, start_root

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("temporal_away")]


def ended(operator: User, label: str, failed: int) -> Batch:
    batch = make_batch(operator, label=label)
    start_root(batch)
    run_children(batch, {place: Status.FAILED if place < failed else Status.COMPLETED for place in range(4)})
    close_root(batch)
    return Batch.objects.get(pk=batch.pk)


def test_what_a_retry_affects_is_said_before_it_is_confirmed(logged_in: Client, operator: User) -> None:
    batches = [ended(operator, "Bad", 3), ended(operator, "Worse", 4), ended(operator, "Good", 0)]
    given = {"action": "retry", "batches": [batch.pk for batch in batches]}
    answer = logged_in.post("/batches/bulk/", given)
    text = answer.content.decode()
    assert "Retry 7 failed children of 2 batches?" in text
    assert "No child failed: there is nothing to retry." in text
    assert not batches[0].audit.filter(action="retry").exists()
    confirmed = logged_in.post("/batches/bulk/", {**given, "confirmed": "yes"}, follow=True).content.decode()
    assert "Retrying" not in confirmed, "Temporal is away: nothing was retried"
    assert "Good: Nothing was retried." in confirmed
    assert batches[0].audit.filter(action="retry", outcome__startswith="Failed:").exists()


def test_with_nothing_to_do_it_says_so_and_offers_nothing(logged_in: Client, operator: User) -> None:
    good, running = ended(operator, "Good", 0), make_batch(operator, label="Runs")
    start_root(running)
    for action, title in (("retry", "Nothing to retry"), ("cancel", "Nothing to cancel")):
        text = logged_in.post("/batches/bulk/", {"action": action, "batches": [good.pk]}).content.decode()
        assert title in text
        assert "button primary" not in text
    frozen = logged_in.post(f"/batches/{good.pk}/operations/", {"action": "retry", "status": "failed"}, follow=True)
    assert "Retry is not possible: no child has this status." in frozen.content.decode()
    outcome = preview(BulkAction.CANCEL, [good, Batch.objects.get(pk=running.pk)])
    assert [(each.batch.label, each.children) for each in outcome.affected] == [("Runs", 4)]
    assert [(each.batch.label, each.reason) for each in outcome.left_alone] == [("Good", "It has already finished.")]
