"""A batch of which a workflow fails its task again and again: page, list, home and API say so until it is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.accounts.api_tokens import create_token
from dashboard.models import Batch
from dashboard.projection.blocked import is_known, set_blocked
from orchestration.contracts.status import Status
from orchestration.diagnosis.task_failures import TaskFailure
from tests.support.builders import child_of, close_root, make_batch, root_of, run_children, start_root

pytestmark = pytest.mark.django_db(transaction=True)

SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def batch(operator: User) -> Batch:
    """Return a batch of which a child runs."""
    made = make_batch(operator, label="Nightly")
    start_root(made)
    run_children(made, {0: Status.RUNNING})
    return made


def failure(workflow_id: str, error: str = "KeyError: a fault") -> TaskFailure:
    return TaskFailure(workflow_id, "Broken", error, SINCE)


def test_it_is_said_beside_the_status_wherever_the_batch_is_shown(
    batch: Batch, logged_in: Client, operator: User
) -> None:
    child = child_of(batch, 0)
    set_blocked(batch.pk, [failure(child.workflow_id), failure("elsewhere")])
    page = logged_in.get(f"/batches/{batch.pk}/").content.decode()
    assert "The workflow tasks of 2 workflows keep failing" in page
    assert "Workflow task failing: KeyError: a fault" in page, "at the child's row"
    listed = logged_in.get("/batches/", {"status": "blocked"}).context["page"].rows
    assert [row.batch.pk for row in listed] == [batch.pk]
    (entry,) = logged_in.get("/").context["page"].home.attention
    assert entry.reason == "Workflow task failing: KeyError: a fault"
    token = {"Authorization": f"Bearer {create_token(operator, 'test')}"}
    state = Client(headers=token).get(f"/api/v1/batches/{batch.pk}").json()
    assert state["status"] == "running"
    assert state["blocked"] == {
        "workflow_id": child.workflow_id,
        "workflow_type": "Broken",
        "reason": "KeyError: a fault",
        "since": "2026-03-01T12:00:00Z",
        "workflows": 2,
    }


def test_it_is_over_when_the_task_succeeds_or_the_batch_has_ended(batch: Batch, logged_in: Client) -> None:
    root = root_of(batch)
    ends: list[Callable[[], None]] = [
        lambda: set_blocked(batch.pk, []),
        lambda: close_root(batch, Status.FAILED),
    ]
    for end in ends:
        set_blocked(batch.pk, [failure(root.workflow_id)])
        batch.refresh_from_db()
        assert is_known(batch, [failure(root.workflow_id)])
        assert not is_known(batch, [failure(root.workflow_id, "another error")])
        end()
        batch.refresh_from_db()
        assert batch.blocked_since is None
        assert is_known(batch, [])
        assert root_of(batch).note == ""
        assert not logged_in.get("/batches/", {"status": "blocked"}).context["page"].rows
