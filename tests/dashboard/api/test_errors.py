"""Every error of the API is JSON of one shape, whoever refuses the request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from dashboard.accounts.api_tokens import create_token
from dashboard.api import root
from dashboard.models import Batch

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(operator: User) -> Client:
    """A client with a token, for which a broken view is a response and no exception."""
    headers = {"Authorization": f"Bearer {create_token(operator, 'test')}"}
    return Client(enforce_csrf_checks=True, raise_request_exception=False, headers=headers)


def launch(items: str, **rest: Any) -> str:
    return json.dumps({"processor": "simulate", "key": "id"} | rest)[:-1] + f', "items": {items}}}'


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "status", "reason"),
    [
        ("GET", "/api/v1/nothing", "", "", 404, "Not found: /api/v1/nothing."),
        ("POST", "/api/nothing", "{}", "application/json", 404, "Not found: /api/nothing."),
        ("GET", "/api/v1/batches/nothing", "", "", 404, ""),
        ("PUT", "/api/v1/batches", "{}", "application/json", 405, "PUT is not allowed here."),
        ("DELETE", "/api/v1/processors", "", "", 405, "DELETE is not allowed here."),
        ("POST", "/api/v1/batches", "a,b", "text/csv", 415, "Send the body as application/json, not as text/csv."),
        ("POST", "/api/v1/batches", "{oops", "application/json", 422, "Invalid JSON"),
        ("POST", "/api/v1/batches", b"\xff", "application/json", 422, "Invalid JSON"),
        ("POST", "/api/v1/batches", DEEP, "application/json", 422, "Nested too deeply"),
        ("POST", "/api/v1/batches", '{"processor":"a","processor":"b"}', "application/json", 422, "occurs twice"),
        ("POST", "/api/v1/batches", launch("[1]", label="\ud83d"), "application/json", 422, "half of a character"),
        ("POST", "/api/v1/batches", '{"parameters":{"seed":NaN}}', "application/json", 422, "not JSON"),
        (
            "POST",
            "/api/v1/batches",
            launch('[{"id":"\\ud83dx"}]'),
            "application/json",
            422,
            "Item 1: A text contains half",
        ),
        ("POST", "/api/v1/batches", launch('[{"id":1},{"id":NaN}]'), "application/json", 422, "Item 2: NaN is not"),
        ("POST", "/api/v1/batches", launch('[{"id":1e999}]'), "application/json", 422, "Item 1: Infinity is not"),
        ("POST", "/api/v1/batches", launch('[{"id":null}]'), "application/json", 422, "Item 1: The key is empty."),
        (
            "POST",
            "/api/v1/batches",
            launch('[{"id":"' + "x" * 201 + '"}]'),
            "application/json",
            422,
            "Item 1: The key has 201",
        ),
        ("POST", "/api/v1/batches", launch('[{"id":1,"id":2}]'), "application/json", 422, "The name 'id' occurs twice"),
        (
            "POST",
            "/api/v1/batches",
            launch('[{"id":' + "[" * 300 + "]" * 300 + "}]"),
            "application/json",
            422,
            "Nested too",
        ),
        ("POST", "/api/v1/batches", launch('[{"id":' + DEEP + "}]"), "application/json", 422, "Nested too deeply"),
        (
            "POST",
            "/api/v1/schedules",
            launch("[[1]]", name="n", interval=60),
            "application/json",
            422,
            "This is a JSON array.",
        ),
        ("POST", "/api/v1/batches", " " * 1_100_000, "application/json", 413, "at most 1 MB are allowed"),
        ("POST", "/api/v1/uploads", "x", "multipart/form-data", 400, "The request cannot be read."),
    ],
)
def test_an_error_is_json(
    api: Client, settings: Settings, method: str, path: str, body: str | bytes, kind: str, status: int, reason: str
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
    answer = api.generic(method, path, body, kind)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json"), answer.content[:500]
    assert set(answer.json()) == {"detail", "errors"}
    assert reason in str(answer.json())
    assert not Batch.objects.exists()


def test_the_document_names_the_errors_of_every_route_and_is_made_once(operator: User) -> None:
    browser = Client()
    browser.force_login(operator)
    first, again = (browser.get("/api/v1/openapi.json").json() for _ in range(2))
    assert first == again
    assert {"401", "403", "422"} <= set(first["paths"]["/api/v1/batches"]["post"]["responses"])
    assert root.api.get_openapi_schema() is root.api.get_openapi_schema(path_params={})


def test_what_nobody_foresaw_is_json_and_in_the_log(
    api: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: Any, **named: Any) -> None:
        raise ZeroDivisionError("in the API")

    monkeypatch.setattr("dashboard.api.batches.launch_request", broken)
    answer = api.post("/api/v1/batches", launch("[1]"), "application/json")
    assert (answer.status_code, set(answer.json())) == (500, {"detail", "errors"})
    assert "in the API" in caplog.text


def test_a_browser_without_its_csrf_token_and_a_wrong_host_get_json(operator: User) -> None:
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.force_login(operator)
    for path, status in (("/api/v1/batches", 403), ("/api/nothing", 404)):
        answer = browser.post(path, "{}", "application/json")
        assert (answer.status_code, set(answer.json())) == (status, {"detail", "errors"})
    answer = browser.get("/api/v1/batches/x", headers={"Host": "elsewhere.example"})
    assert (answer.status_code, set(answer.json())) == (400, {"detail", "errors"})


def test_a_page_says_why_a_form_is_refused(operator: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(operator)
    answer = browser.post("/batches/bulk/", {"nodes": "1"})
    assert answer.status_code == 403
    assert "This form has expired" in answer.content.decode()
