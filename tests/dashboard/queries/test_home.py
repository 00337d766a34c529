"""Home: batches that require action come first, and finished ones are new until the next visit."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard.accounts.audit import record
from dashboard.actions import inbox
from dashboard.models import Batch, BatchStatus, Need
from dashboard.pages.home import HomePage
from dashboard.projection.events import apply_events
from dashboard.queries.home import Home
from dashboard.views.home import VISIT_KEY
from orchestration.contracts.events import EventKind, TreeEvent
from orchestration.contracts.status import Status
from tests.support.builders import (
    close_root,
    closed,
    make_batch,
    make_person,
    make_viewer,
    root_of,
    run_children,
    start_root,
    started,
)

pytestmark = pytest.mark.django_db(transaction=True)


def look(client: Client) -> Home:
    page = client.get("/").context["page"]
    assert isinstance(page, HomePage)
    return page.home


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
    untaken = running(operator, "Untaken")
    long_ago = timezone.now() - timedelta(minutes=9)
    Batch.objects.filter(pk=untaken.pk).update(status=BatchStatus.SCHEDULED, changed_at=long_ago)
    held = running(operator, "Held")
    event = TreeEvent(EventKind.HELD, root_of(held).workflow_id, "", timezone.now(), note="3 of 4 failed.")
    apply_events(held.pk, [event])
    page = look(logged_in)
    assert [(entry.batch.label, entry.reason) for entry in page.attention] == [
        ("Held", "Held: 3 of 4 failed."),
        ("Untaken", "Stuck: no change for 9 minutes"),
        ("Stuck", "Stuck: no change for 7 minutes"),
        ("Failing", "Failing: 2 children failed so far"),
    ]
    assert labels(page.running) == ["Fine"]
    assert labels(page.ended) == []


def ended(operator: User, label: str, outcome: Status, minutes: int = 20) -> Batch:
    batch = make_batch(operator, label=label)
    start_root(batch)
    run_children(batch, dict.fromkeys(range(4), outcome))
    close_root(batch, Status.COMPLETED, at=timezone.now() - timedelta(minutes=minutes))
    return Batch.objects.get(pk=batch.pk)


def test_what_failed_stays_until_it_is_dismissed_and_comes_back_when_it_fails_again(
    logged_in: Client, operator: User
) -> None:
    ended(operator, "Good", Status.COMPLETED)
    bad = ended(operator, "Bad", Status.FAILED)
    page = look(logged_in)
    assert [(entry.batch.label, entry.is_new) for entry in page.ended] == [("Good", True)]
    assert [(entry.batch.label, entry.reason) for entry in page.attention] == [("Bad", "4 children failed")]
    session = logged_in.session
    seen = timezone.now() - timedelta(minutes=16)
    session[VISIT_KEY] = [seen.isoformat(), (seen - timedelta(days=1)).isoformat()]
    session.save()
    page = look(logged_in)
    assert labels(page.attention) == ["Bad"], "looking at it does not take it away"
    assert [entry.is_new for entry in page.ended] == [False]
    text = logged_in.get("/").content.decode()
    assert "Retry 4" in text
    answer = logged_in.post(f"/batches/{bad.pk}/dismiss/", {"need": "failed", "back": "/"}, follow=True)
    assert "Dismissed Bad." in answer.content.decode()
    assert labels(look(logged_in).attention) == []
    assert labels(look(logged_in).ended) == ["Bad", "Good"]
    assert list(bad.audit.values_list("action", "scope")[:1]) == [("dismiss", "failed")]
    again, end = timezone.now() - timedelta(seconds=1), timezone.now() + timedelta(seconds=1)
    apply_events(bad.pk, [started(root_of(bad), 2, again), closed(root_of(bad), Status.COMPLETED, 2, end)])
    assert labels(look(logged_in).attention) == ["Bad"]


def test_a_persons_decision_resolves_a_batch_and_one_on_chosen_children_does_not(
    logged_in: Client, operator: User
) -> None:
    for action, outcome in (("skip", "Accepted."), ("finish", "Accepted. Known 4 s later."), ("skip", "2 accepted.")):
        record(operator, ended(operator, f"{action}: {outcome}", Status.FAILED), action, outcome=outcome)
    refused = ended(operator, "refused", Status.FAILED)
    record(operator, refused, "finish", outcome="Failed: the batch is not held.")
    assert sorted(labels(look(logged_in).attention)) == ["refused", "skip: 2 accepted."]


def test_a_dismissal_holds_for_one_need_at_one_time(logged_in: Client, operator: User) -> None:
    batch = running(operator, "Failing")
    run_children(batch, {0: Status.FAILED})
    inbox.dismiss(operator, batch, Need.FAILING)
    assert labels(look(logged_in).running) == ["Failing"]
    event = TreeEvent(EventKind.HELD, root_of(batch).workflow_id, "", timezone.now(), note="1 of 4 failed.")
    apply_events(batch.pk, [event])
    assert [entry.need for entry in look(logged_in).attention] == [Need.DECISION]


def test_what_has_finished_with_failures_is_dismissed_at_once(logged_in: Client, operator: User) -> None:
    batches = [ended(operator, label, Status.FAILED) for label in ("One", "Two")]
    run_children(running(operator, "Failing"), {0: Status.FAILED})
    assert "Dismiss the 2 that finished" in logged_in.get("/").content.decode()
    text = logged_in.post("/dismiss/", {"batches": [batch.pk for batch in batches]}, follow=True).content.decode()
    assert "Dismissed 2 batches." in text
    assert labels(look(logged_in).attention) == ["Failing"]


def test_a_batch_is_assigned_to_an_operator_and_audited(logged_in: Client, operator: User) -> None:
    bad = ended(operator, "Bad", Status.FAILED)
    make_person("anna")
    viewer = make_viewer()

    def assigned(name: str) -> str:
        answer = logged_in.post(f"/batches/{bad.pk}/assign/", {"person": name, "back": "/"}, follow=True)
        return answer.content.decode()

    assert "Assigned Bad to anna." in assigned("anna")
    (entry,) = look(logged_in).attention
    assert entry.inbox is not None
    assert entry.inbox.assignee is not None
    assert entry.inbox.assignee.get_username() == "anna"
    assert f"{viewer.get_username()} is not an operator." in assigned(viewer.get_username())
    assert "Bad is not assigned to anybody." in assigned("")
    scopes = bad.audit.filter(action="assign").order_by("id").values_list("scope", flat=True)
    assert list(scopes) == ["to anna", "to nobody"]


def test_the_way_back_leads_nowhere_else(logged_in: Client, operator: User) -> None:
    bad = ended(operator, "Bad", Status.FAILED)
    for back in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        answer = logged_in.post(f"/batches/{bad.pk}/dismiss/", {"need": "failed", "back": back})
        assert answer.headers["Location"] == f"/batches/{bad.pk}/"


def test_before_the_first_batch_a_demo_is_offered_and_launched(logged_in: Client) -> None:
    assert "Try a 60-item demo" in logged_in.get("/").content.decode()
    batch = Batch.objects.get(pk=logged_in.post("/demo/").headers["Location"].split("/")[2])
    assert (batch.item_count, batch.processor) == (60, "simulate")
    assert "Try a 60-item demo" not in logged_in.get("/").content.decode()


def test_a_viewer_sees_no_button(visitor: Client, operator: User) -> None:
    visitor.force_login(make_viewer())
    text = visitor.get("/").content.decode()
    assert "Read-only: ask for the operator role" in text
    bad = ended(operator, "Bad", Status.FAILED)
    text = visitor.get("/").content.decode()
    assert "4 children failed" in text
    for word in ("Launch a batch", "Retry 4", "Dismiss", "Assign"):
        assert word not in text
    for action in ("dismiss", "assign"):
        assert visitor.post(f"/batches/{bad.pk}/{action}/").status_code == 403
    for path in ("/demo/", "/dismiss/"):
        assert visitor.post(path).status_code == 403


def test_without_temporal_it_says_so(logged_in: Client) -> None:
    assert "Can&#x27;t reach Temporal." in logged_in.get("/").content.decode()
    part = logged_in.get("/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
