"""Home: batches that require action come first, and finished ones are new until the next visit."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard.models import Batch
from dashboard.projection.events import apply_events
from dashboard.queries.home import Home
from dashboard.views.home import VISIT_KEY
from orchestration.contracts.events import EventKind, TreeEvent
from orchestration.contracts.status import Status
from tests.support.builders import close_root, make_batch, make_viewer, root_of, run_children, start_root

pytestmark = pytest.mark.django_db(transaction=True)


def look(client: Client) -> Home:
    page = client.get("/").context["page"]
    assert isinstance(page, Home)
    return page


def running(operator: User, label: str) -> Batch:
    batch = make_batch(operator, label=label)
    start_root(batch, timezone.now() - timedelta(minutes=1))
    return batch


def labels(entries: object) -> list[str]:
    return [entry.batch.label for entry in entries]  # type: ignore[attr-defined]


def test_batches_that_require_action_come_first_with_the_reason(logged_in: Client, operator: User) -> None:
    running(operator, "Fine")
    failing = running(operator, "Failing")
    run_children(failing, {0: Status.FAILED, 1: Status.TIMED_OUT})
    stuck = running(operator, "Stuck")
    Batch.objects.filter(pk=stuck.pk).update(changed_at=timezone.now() - timedelta(minutes=7))
    held = running(operator, "Held")
    event = TreeEvent(EventKind.HELD, root_of(held).workflow_id, "", timezone.now(), note="3 of 4 failed.")
    apply_events(held.pk, [event])
    page = look(logged_in)
    assert [(entry.batch.label, entry.reason) for entry in page.attention] == [
        ("Held", "Held: 3 of 4 failed."),
        ("Stuck", "Stuck: no change for 7 minutes"),
        ("Failing", "Failing: 2 children failed so far"),
    ]
    assert labels(page.running) == ["Fine"]
    assert labels(page.ended) == []


def test_finished_batches_are_new_until_the_next_visit(logged_in: Client, operator: User) -> None:
    good, bad = make_batch(operator, label="Good"), make_batch(operator, label="Bad")
    for batch, outcome in ((good, Status.COMPLETED), (bad, Status.FAILED)):
        start_root(batch)
        run_children(batch, dict.fromkeys(range(4), outcome))
        close_root(batch, Status.COMPLETED, at=timezone.now() - timedelta(minutes=20))
    page = look(logged_in)
    assert labels(page.ended) == ["Good"]
    assert [(entry.batch.label, entry.reason) for entry in page.attention] == [("Bad", "4 children failed")]
    assert labels(look(logged_in).ended) == ["Good"], "within the same visit it stays"
    session = logged_in.session
    seen = timezone.now() - timedelta(minutes=16)
    session[VISIT_KEY] = [seen.isoformat(), (seen - timedelta(days=1)).isoformat()]
    session.save()
    page = look(logged_in)
    assert (labels(page.attention), labels(page.ended)) == ([], [])
    assert page.since == seen


def test_a_viewer_sees_no_launch_button(visitor: Client, operator: User) -> None:
    visitor.force_login(make_viewer())
    text = visitor.get("/").content.decode()
    assert "Nothing needs your attention." in text
    assert "Nothing running" in text
    assert "Launch a batch" not in text


def test_without_temporal_it_says_so(logged_in: Client) -> None:
    assert "Can&#x27;t reach Temporal." in logged_in.get("/").content.decode()
    part = logged_in.get("/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
