"""Retention on pages and over the API: rules, the dry run, the switch of a batch, and what is left of a deleted one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client

from dashboard.accounts.api_tokens import create_token
from dashboard.models import Batch, DeletedBatch, RetentionRule
from dashboard.retention import runs
from tests.dashboard.retention.conftest import Ended, ended
from tests.support.builders import make_viewer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("temporal_away")]

__all__ = ["ended"]  # a fixture

RULES = "/api/v1/retention/rules"


@pytest.fixture
def api(operator: User) -> Client:
    """A client with a token."""
    return Client(headers={"Authorization": f"Bearer {create_token(operator, 'test')}"})


@pytest.fixture
def deleted(ended: Ended) -> DeletedBatch:
    batch = ended(2, label="prices of March")
    runs.prune("test", timedelta(days=1))
    return DeletedBatch.objects.get(pk=batch.pk)


def test_a_rule_is_added_and_its_dry_run_shown_and_it_is_removed(logged_in: Client, ended: Ended) -> None:
    ended(3)
    answer = logged_in.post("/retention/", {"days": "2", "processor": "simulate"}, follow=True)
    assert answer.redirect_chain == [("/retention/?preview=1", 302)]
    assert "processor simulate: 2 days" in answer.text
    assert Batch.objects.count() == 1
    rule = RetentionRule.objects.get()
    logged_in.post(f"/retention/{rule.pk}/remove/")
    assert not RetentionRule.objects.exists()


@pytest.mark.parametrize("given", [{"days": "0"}, {"days": "x"}, {"days": "2", "outcome": "running"}])
def test_a_rule_that_makes_no_sense_is_refused_beside_its_field(logged_in: Client, given: dict[str, str]) -> None:
    answer = logged_in.post("/retention/", given)
    assert answer.status_code == 422
    assert "has-error" in answer.text
    assert not RetentionRule.objects.exists()


def test_a_viewer_looks_and_changes_nothing(visitor: Client, ended: Ended) -> None:
    batch, rule = ended(), RetentionRule.objects.create(days=1, made_by=make_viewer())
    visitor.force_login(User.objects.get(username="vera"))
    assert "New rule" not in visitor.get("/retention/?preview=1").text
    for path in ("/retention/", f"/retention/{rule.pk}/remove/", "/retention/run/", f"/batches/{batch.pk}/keep/"):
        assert visitor.post(path, {"days": "1", "keep": "1"}).status_code == 403
    assert Batch.objects.get().keep is False
    assert visitor.get("/retention/run/").status_code == 405


def test_the_settings_say_what_a_batch_weighs_and_keep_it(logged_in: Client, ended: Ended) -> None:
    batch = ended(9)
    page = logged_in.get(f"/batches/{batch.pk}/settings/").text
    assert "8 rows" in page
    logged_in.post(f"/batches/{batch.pk}/keep/", {"keep": "1"})
    assert "whatever the rules say" in logged_in.get(f"/batches/{batch.pk}/settings/").text
    assert runs.prune("test", timedelta(days=1)).batches == 0
    logged_in.post(f"/batches/{batch.pk}/keep/", {"keep": "0"})
    assert list(batch.audit.values_list("action", flat=True)[:2]) == ["do not keep", "keep"]
    assert runs.prune("test", timedelta(days=1)).batches == 1


@pytest.mark.parametrize("rest", ["", "settings/", "results/", "items/0/", "nodes/1/", "items.csv", "compare/"])
def test_the_former_address_of_a_deleted_batch_says_what_it_was(
    logged_in: Client, deleted: DeletedBatch, rest: str
) -> None:
    answer = logged_in.get(f"/batches/{deleted.pk}/{rest}")
    assert answer.status_code == 410
    for said in ("prices of March", "older than 1d, as asked for", "ServerError", "launched", "olga"):
        assert said in answer.text
    assert logged_in.get("/batches/nothing/").status_code == 404


def test_the_api_says_gone_and_where_what_is_kept_is(api: Client, deleted: DeletedBatch) -> None:
    for path in ("", "/nodes", "/diagnosis", "/weight"):
        answer = api.get(f"/api/v1/batches/{deleted.pk}{path}")
        assert answer.status_code == 410, path
        assert f"/api/v1/deleted-batches/{deleted.pk}" in answer.json()["detail"]
    assert api.post(f"/api/v1/batches/{deleted.pk}/retry", {"status": "failed"}, "application/json").status_code == 410
    assert [each["action"] for each in api.get(f"/api/v1/batches/{deleted.pk}/audit").json()] == ["launch"]
    kept = api.get(f"/api/v1/deleted-batches/{deleted.pk}").json()
    assert (kept["label"], kept["items"]["failed"], kept["launched_by"]) == ("prices of March", 1, "olga")
    assert api.get("/api/v1/deleted-batches/nothing").status_code == 404


def test_a_batch_is_compared_with_what_is_kept_of_a_deleted_one(
    logged_in: Client, deleted: DeletedBatch, ended: Ended
) -> None:
    later = ended()
    page = logged_in.get(f"/batches/{later.pk}/compare/?with={deleted.pk}")
    assert page.status_code == 200
    for said in ("prices of March", "Unchanged", "histogram", "ServerError", "p95", f'value="{deleted.pk}" selected'):
        assert said in page.text
    assert f"/batches/{deleted.pk}/?error=" not in page.text


def test_rules_and_dry_run_over_the_api(api: Client, ended: Ended) -> None:
    batch = ended(3)
    made = api.post(RULES, {"days": 2, "label": "x"}, "application/json")
    assert made.status_code == 201
    twice = api.post(RULES, {"days": 3, "label": "x"}, "application/json")
    assert (twice.status_code, list(twice.json()["errors"])) == (422, ["processor"])
    said = api.get("/api/v1/retention/preview?older_than=1d").json()
    assert (said["batches"], said["rows"]) == (1, 8)
    assert api.get("/api/v1/retention/preview?older_than=soon").status_code == 422
    assert api.get("/api/v1/retention").json()["rules"][0]["label"] == "x"
    assert api.delete(f"{RULES}/{made.json()['id']}").status_code == 204
    kept = api.post(f"/api/v1/batches/{batch.pk}/keep", {"keep": True}, "application/json")
    assert (kept.status_code, kept.json()["keep"]) == (200, True)
    assert api.get(f"/api/v1/batches/{batch.pk}/weight").json()["rows"] == 8
    assert api.post("/api/v1/retention/run").status_code == 503  # Temporal is away
