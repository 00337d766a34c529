"""API tokens: created, listed and revoked in pages, API and command line; what each may do, and who answers for it."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from dashboard.accounts import api_tokens
from dashboard.accounts.api_tokens import create_token, person_of, token_found
from dashboard.accounts.permissions import may_operate, may_view
from dashboard.models import ApiToken, AuditEntry, TokenKind, TokenRole
from orchestration.processors import catalogue
from tests.support.builders import MakeBatch, make_viewer

pytestmark = pytest.mark.django_db


def as_token(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"})


def browser_of(person: User) -> Client:
    browser = Client()
    browser.force_login(person)
    return browser


def test_a_token_is_shown_once_and_revoked_on_the_page(logged_in: Client, operator: User) -> None:
    form = {"name": "machine 7", "kind": "worker", "role": "", "queues": "heavy, light"}
    answer = logged_in.post("/tokens/", form)
    (text,) = re.findall(r"canopy_[\w-]{43}", answer.content.decode())
    assert answer["Cache-Control"].count("no-store") == 1
    token = ApiToken.objects.get(name="machine 7")
    assert (token.person, token.kind, token.queues) == (operator, "worker", ["heavy", "light"])
    assert token_found(text) == token
    page = logged_in.get("/tokens/").content.decode()
    assert text not in page
    assert "heavy, light" in page
    assert logged_in.post(f"/tokens/{token.pk}/revoke/").status_code == 302
    assert token_found(text) is None
    assert f'token-{token.pk}"' not in logged_in.get("/tokens/").content.decode()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "taken"}, "name"),
        ({"kind": "root"}, "kind"),
        ({"kind": "worker"}, "queues"),
        ({"kind": "worker", "queues": ["canopy"]}, "queues"),
        ({"kind": "person", "queues": ["heavy"]}, "queues"),
        ({"role": "owner"}, "role"),
    ],
)
def test_what_makes_no_sense_is_refused_in_page_and_api(
    logged_in: Client, operator: User, given: dict[str, object], field: str
) -> None:
    create_token(operator, "taken")
    body = {"name": "new", "kind": "person", "role": "", "queues": [], **given}
    assert logged_in.post("/tokens/", {**body, "queues": ", ".join(body["queues"])}).status_code == 422  # type: ignore[arg-type]
    answer = logged_in.post("/api/v1/tokens", body, "application/json")
    assert answer.status_code == 422
    assert field in answer.json()["errors"]
    assert not ApiToken.objects.filter(name="new").exists()


def test_a_viewer_gets_tokens_that_look_and_none_of_programs() -> None:
    browser = browser_of(make_viewer())
    for kind, queues in (("worker", "heavy"), ("events", "")):
        assert browser.post("/tokens/", {"name": "x", "kind": kind, "queues": queues}).status_code == 403
    assert browser.post("/tokens/", {"name": "x", "kind": "person", "role": "operator"}).status_code == 422
    assert browser.post("/tokens/", {"name": "mine", "kind": "person", "role": ""}).status_code == 200
    assert ApiToken.objects.get().name == "mine"


def test_whoever_has_a_token_makes_none_that_outlives_it_as_a_person(operator: User) -> None:
    api = as_token(create_token(operator, "first"))
    assert api.post("/api/v1/tokens", {"name": "second"}, "application/json").status_code == 403
    created = api.post("/api/v1/tokens", {"name": "w", "kind": "worker", "queues": ["q"]}, "application/json")
    assert created.status_code == 201
    found = token_found(created.json()["token"])
    assert found is not None
    assert found.queues == ["q"]
    assert [each["name"] for each in api.get("/api/v1/tokens").json()] == ["w", "first"]
    assert api.delete(f"/api/v1/tokens/{found.pk}").status_code == 204
    assert token_found(created.json()["token"]) is None


def test_nobody_sees_or_revokes_the_personal_tokens_of_others(operator: User, logged_in: Client) -> None:
    viewer = make_viewer()
    create_token(viewer, "hers")
    create_token(operator, "of a worker", TokenKind.WORKER, queues=["q"])
    hers, worker = ApiToken.objects.get(name="hers"), ApiToken.objects.get(name="of a worker")
    assert logged_in.post(f"/tokens/{hers.pk}/revoke/").status_code == 404
    assert browser_of(viewer).post(f"/tokens/{worker.pk}/revoke/").status_code == 404
    assert "of a worker" not in browser_of(viewer).get("/tokens/").content.decode()


def test_a_viewers_token_of_an_operator_only_looks(operator: User, make_batch: MakeBatch) -> None:
    api, batch = as_token(create_token(operator, "dashboard", role=TokenRole.VIEWER)), make_batch(1)
    assert api.get(f"/api/v1/batches/{batch.pk}").status_code == 200
    assert api.post(f"/api/v1/batches/{batch.pk}/pause").status_code == 403


def test_tokens_end_with_the_role_and_the_account_of_their_person(operator: User) -> None:
    texts = [create_token(operator, kind, kind, queues=["q"]) for kind in TokenKind.values]
    assert all(token_found(text) for text in texts)
    operator.groups.clear()
    person, *programs = (token_found(text) for text in texts)
    assert person is not None
    assert may_view(person.person)
    assert not may_operate(person.person)
    assert programs == [None, None]
    User.objects.filter(pk=operator.pk).update(is_active=False)
    assert [token_found(text) for text in texts] == [None] * 3


def test_tokens_of_programs_act_for_nobody(operator: User) -> None:
    for kind in (TokenKind.WORKER, TokenKind.EVENTS):
        text = create_token(operator, kind, kind, queues=["q"])
        found = token_found(text)
        assert found is not None
        assert not may_view(found.person)
        assert person_of(text) is None


@pytest.mark.usefixtures("temporal_away")
def test_everything_a_token_does_is_audited_under_its_name(operator: User, make_batch: MakeBatch) -> None:
    catalogue.load()
    api = as_token(create_token(operator, "cron"))
    launched = api.post("/api/v1/batches", {"processor": "simulate", "count": 1}, "application/json").json()["id"]
    api.post(f"/api/v1/batches/{launched}/pause")
    entries = AuditEntry.objects.filter(batch=launched).order_by("pk")
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("launch", "olga (cron)"),
        ("pause", "olga (cron)"),
    ]
    assert {each["token"] for each in api.get(f"/api/v1/batches/{launched}/audit").json()} == {"cron"}
    token = ApiToken.objects.get(name="cron")
    uses = [(use["action"], use["subject"]) for use in api.get(f"/api/v1/tokens/{token.pk}/uses").json()]
    assert uses == [("POST api/v1/batches/<batch_id>/pause", launched), ("POST api/v1/batches", "")]
    refused = as_token(create_token(operator, "seven", TokenKind.WORKER, queues=["q"]))
    assert refused.get("/api/v1/tokens").status_code == 403
    found = ApiToken.objects.get(name="seven").uses.values_list("action", "status")
    assert list(found) == [("GET api/v1/tokens", 403)]


def test_the_command_line_creates_lists_and_revokes(operator: User) -> None:
    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("token", *arguments, stdout=out)
        return out.getvalue()

    text = run("create", "machine 7", "--user", "olga", "--kind", "worker", "--queue", "heavy").strip()
    found = token_found(text)
    assert found is not None
    listed = run("list").split("\t")
    assert listed[1:5] == ["worker", "heavy", "olga", "machine 7"]
    run("revoke", str(found.pk))
    assert token_found(text) is None
    for wrong in (["create", "x", "--user", "nobody"], ["create", "x", "--user", "olga", "--kind", "worker"]):
        with pytest.raises(CommandError):
            run(*wrong)


def test_only_the_newest_uses_of_a_token_are_kept(operator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_tokens, "USES_KEPT", 5)
    monkeypatch.setattr(api_tokens, "USES_PRUNED_EVERY", 3)
    for name in ("busy", "other"):
        create_token(operator, name)
    busy, other = (ApiToken.objects.get(name=name) for name in ("busy", "other"))
    api_tokens.note_use(other, "POST once", "", 200, "")
    for number in range(30):
        api_tokens.note_use(busy, f"POST {number}", "", 200, "")
    kept = list(busy.uses.values_list("action", flat=True))
    assert 5 <= len(kept) < 5 + 3, "of those of all tokens every third is counted"
    assert kept == [f"POST {number}" for number in range(29, 29 - len(kept), -1)]
    assert other.uses.count() == 1
