"""Definitions over the API: saving, versions, and a list of errors with their lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from dashboard.accounts.api_tokens import create_token
from dashboard.models import DefinitionVersion
from tests.support import builders

pytestmark = pytest.mark.django_db

GOOD = "kind: pool\nworkers: 2\nprocessor: simulate\n"
WRONG = "kind: pool\nworkers: 0\nprocessor: nope\n"
ERRORS = [
    {"line": 2, "column": 1, "path": "workers", "message": "Input should be greater than or equal to 1."},
    {"line": 3, "column": 12, "path": "processor", "message": 'There is no processor "nope".'},
]


class Api:
    """Calls with one person's token."""

    def __init__(self, person: User) -> None:
        self._headers = {"Authorization": f"Bearer {create_token(person, 'test')}"}
        self._client = Client()

    def get(self, path: str) -> HttpResponse:
        return self._client.get(f"/api/v1{path}", headers=self._headers)  # type: ignore[return-value]

    def post(self, path: str, **body: Any) -> HttpResponse:
        data, kind = json.dumps(body), "application/json"
        return self._client.post(f"/api/v1{path}", data, content_type=kind, headers=self._headers)  # type: ignore[return-value]


@pytest.fixture
def api(operator: User) -> Api:
    """The operator's calls."""
    return Api(operator)


def body(answer: HttpResponse, status: int = 200) -> Any:
    """Return the JSON of an answer of this status."""
    assert answer.status_code == status, answer.content
    return json.loads(answer.content)


def test_a_definition_is_saved_read_and_saved_again(api: Api) -> None:
    made = body(api.post("/definitions", name="Nightly", text=GOOD, note="first"), 201)
    assert (made["name"], made["created_by"], made["newest"]["number"]) == ("Nightly", "olga", 1)
    assert made["newest"]["kind"] == "pool"
    assert made["newest"]["url"].endswith(f"/definitions/{made['id']}/versions/1/")
    version = body(api.post(f"/definitions/{made['id']}/versions", text=GOOD + "# more\n", base=1), 201)
    assert (version["number"], version["id"]) == (2, DefinitionVersion.objects.get(number=2).pk)
    whole = body(api.get(f"/definitions/{made['id']}"))
    assert [(each["number"], each["text"]) for each in whole["versions"]] == [(2, GOOD + "# more\n"), (1, GOOD)]
    (listed,) = body(api.get("/definitions"))
    assert (listed["id"], listed["newest"]["number"]) == (made["id"], 2)


def test_a_text_is_checked_without_being_saved(api: Api) -> None:
    checked = body(api.post("/definitions/check", text=GOOD))
    assert checked["kind"] == "pool"
    assert checked["outline"]["summary"] == "2 long-lived workers, each item: simulate"
    assert not DefinitionVersion.objects.exists()


def test_errors_are_listed_by_line_by_every_route_that_takes_a_text(api: Api) -> None:
    made = body(api.post("/definitions", name="Nightly", text=GOOD), 201)
    calls = [
        api.post("/definitions/check", text=WRONG),
        api.post("/definitions", name="Other", text=WRONG),
        api.post(f"/definitions/{made['id']}/versions", text=WRONG),
    ]
    for answer in calls:
        errors = body(answer, 422)["errors"]
        assert [error | {"message": ""} for error in errors] == [error | {"message": ""} for error in ERRORS]
        assert all(
            error["message"].startswith(str(told["message"])) for error, told in zip(errors, ERRORS, strict=True)
        )
    assert DefinitionVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "Nightly"}, "text"),
        ({"text": GOOD}, "name"),
        ({"name": " ", "text": GOOD}, "name"),
        ({"name": "x" * 101, "text": GOOD}, "name"),
        ({"name": "Taken", "text": GOOD}, "name"),
        ({"name": "Nightly", "text": GOOD, "note": "x" * 201}, "note"),
        ({"name": "Nightly", "text": GOOD, "surprise": 1}, "surprise"),
    ],
)
def test_errors_of_other_fields_are_listed_by_field(api: Api, given: dict[str, Any], field: str) -> None:
    api.post("/definitions", name="Taken", text=GOOD)
    assert set(body(api.post("/definitions", **given), 422)["errors"]) == {field}
    assert DefinitionVersion.objects.count() == 1


def test_a_version_made_from_an_older_one_is_refused(api: Api) -> None:
    made = body(api.post("/definitions", name="Nightly", text=GOOD), 201)
    path = f"/definitions/{made['id']}/versions"
    body(api.post(path, text=GOOD + "# 2\n", base=1), 201)
    assert (
        "saved version 2 in the meantime" in body(api.post(path, text=GOOD + "# 3\n", base=1), 422)["errors"]["text"][0]
    )
    assert "the same text" in body(api.post(path, text=GOOD + "# 2\n"), 422)["errors"]["text"][0]


def test_a_viewer_reads_and_checks_and_saves_nothing(api: Api) -> None:
    made = body(api.post("/definitions", name="Nightly", text=GOOD), 201)
    viewer = Api(builders.make_viewer())
    assert len(body(viewer.get("/definitions"))) == 1
    assert body(viewer.post("/definitions/check", text=GOOD))["kind"] == "pool"
    body(viewer.post("/definitions", name="Mine", text=GOOD), 403)
    body(viewer.post(f"/definitions/{made['id']}/versions", text=GOOD + "#"), 403)
    assert DefinitionVersion.objects.count() == 1


def test_unknown_definitions_are_not_found(api: Api) -> None:
    for unknown in (0, 7, 10**30):
        body(api.get(f"/definitions/{unknown}"), 404)
        body(api.post(f"/definitions/{unknown}/versions", text=GOOD), 404)
    assert Client().get("/api/v1/definitions").status_code == 401
