"""Credentials in parameters, on pages and in the API: refused when they are given, masked where they are stored."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from dashboard.accounts.api_tokens import create_token
from dashboard.definitions import saving
from dashboard.models import Action, Batch, Operation, Schedule
from orchestration.definitions.source_tree import DefinitionErrors
from orchestration.plan.plan import Plan
from tests.support import builders
from tests.support.forms import launch_form

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("temporal_away")]

STORED = {"url": "{url}", "headers": {"X-Token": "geheim", "Accept": "text/html"}, "body": '{"password": "geheim"}'}
PIPELINE = "kind: pool\nworkers: 2\nprocessor: http_request\nparameters:\n  headers:\n    X-Token: %s\n"


@pytest.fixture
def batch(operator: User) -> Batch:
    """A batch of an earlier release, which stored credentials."""
    source = {"kind": "count", "count": 2}
    return builders.make_batch(operator, 2, processor="http_request", parameters=STORED, source=source)


@pytest.fixture
def viewer(db: None) -> Client:
    """Return the browser of somebody who may look only."""
    client = Client()
    client.force_login(User.objects.create_user("viewer"))
    return client


def api(client: Client, method: str, path: str, body: Any = None) -> Any:
    """Call the API as the client's person."""
    token = create_token(User.objects.get(pk=client.session["_auth_user_id"]), "test")
    given: dict[str, Any] = {"content_type": "application/json", "headers": {"Authorization": f"Bearer {token}"}}
    return client.generic(method, f"/api/v1{path}", json.dumps(body) if body is not None else "", **given)


def form(**given: Any) -> dict[str, Any]:
    """Return the launch form of http_request as a browser sends it."""
    return {name: value for name, value in launch_form(**given).items() if not name.startswith("parameters-seconds")}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("headers", "X-API-Key: geheim"),
        ("headers", "X-Other: Bearer geheim"),
        ("url", "https://ann:geheim@example.org/{value}"),
        ("url", "https://example.org/{value}?api_key=geheim"),
        ("body", '{"password": "geheim"}'),
    ],
)
def test_a_launch_with_a_credential_is_refused_at_its_field(browser: Client, name: str, value: str) -> None:
    answer = browser.post("/launch/http_request/", form(**{f"parameters-{name}": value}))
    assert answer.status_code == 422
    page = html.unescape(answer.content.decode())
    assert "stored with the batch" in page
    assert "CANOPY_SECRET_NAME" in page
    headers = dict([value.split(": ", 1)]) if name == "headers" else value
    body = {"processor": "http_request", "items": [{"value": "x"}], "parameters": {name: headers}}
    refused = api(browser, "POST", "/batches", body)
    assert refused.status_code == 422
    (reason,) = refused.json()["errors"][f"parameters.{name}"]
    assert "{secret:NAME}" in reason
    assert Batch.objects.count() == 0


def test_a_stored_credential_is_shown_to_nobody(browser: Client, viewer: Client, batch: Batch, operator: User) -> None:
    source = {"kind": "count", "upload": None, "name": "", "key": "", "left_out": 0}
    request = {"processor": "http_request", "parameters": STORED, "label": "", "source": source}
    request["plan"] = Plan().model_dump(mode="json")
    schedule = Schedule.objects.create(name="Nightly", request=request, item_count=3, made_by=operator)
    operation = Operation.objects.create(batch=batch, action=Action.RETRY, person=operator, number=1)
    changed = {**STORED, "headers": {"X-Token": "geheim too"}, "timeout": 5}
    Operation.objects.filter(pk=operation.pk).update(parameters=changed, confirmed_at=timezone.now())
    paths = [f"/batches/{batch.pk}/settings/", f"/schedules/{schedule.pk}/", f"/launch/http_request/?like={batch.pk}"]
    for client in (browser, viewer):
        for path in paths:
            answer = client.get(path)
            assert answer.status_code == 200, path
            page = html.unescape(answer.content.decode())
            assert "geheim" not in page, path
            assert "•••" in page, path
            assert "text/html" in page, path
        for path in (
            f"/batches/{batch.pk}",
            f"/schedules/{schedule.pk}",
            f"/batches/{batch.pk}/operations/{operation.pk}",
        ):
            assert "geheim" not in api(client, "GET", path).content.decode()


def test_launching_again_asks_for_the_secret_instead_of_the_mask(browser: Client, batch: Batch) -> None:
    answer = browser.post("/launch/http_request/", form(**{"parameters-headers": "X-Token: •••", "text": "a"}))
    assert answer.status_code == 422
    assert "Looks like a credential" in html.unescape(answer.content.decode())


def test_a_retry_keeps_what_is_stored_where_the_mask_is_sent_back(browser: Client, batch: Batch) -> None:
    operation = Operation.objects.create(batch=batch, action=Action.RETRY, person=batch.launched_by, number=1)
    path = f"/batches/{batch.pk}/operations/{operation.pk}/"
    assert "geheim" not in browser.get(path).content.decode()
    given = {"reason": "", "window": "", "parameters-headers": "X-Token: •••\r\nAccept: text/html"}
    given |= {"parameters-body": '{"password": "•••"}', "parameters-url": "{url}", "parameters-timeout": "7"}
    shown = browser.post(f"{path}preview/", given).content.decode()
    assert ">timeout<" in shown
    assert ">headers<" not in shown
    assert ">body<" not in shown
    refused = browser.post(f"{path}confirm/", given | {"parameters-headers": "X-Token: other"}).content.decode()
    assert "Looks like a credential" in html.unescape(refused)


def test_a_definition_with_a_credential_is_not_saved_and_a_saved_one_masked_for_viewers(
    browser: Client, viewer: Client, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DefinitionErrors, match="Looks like a credential") as refused:
        saving.create(operator, "leaky", PIPELINE % "geheim")
    assert refused.value.errors[0].line == 5
    saved = saving.create(operator, "right", PIPELINE % "'{secret:CRM}'").definition
    saved.versions.update(text=PIPELINE % "geheim")
    paths = [f"/definitions/{saved.pk}/", f"/definitions/{saved.pk}/edit/"]
    for path in paths:
        page = viewer.get(path)
        assert "geheim" not in page.content.decode(), path
        assert "geheim" in browser.get(path).content.decode(), path
    assert "geheim" not in api(viewer, "GET", f"/definitions/{saved.pk}").content.decode()
    assert "geheim" in api(browser, "GET", f"/definitions/{saved.pk}").content.decode()
