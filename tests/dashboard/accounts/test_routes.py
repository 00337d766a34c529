"""Who gets past the guard of every route, held against the table of docs/security.md.

The table is written anew with CANOPY_WRITE_ROUTES=1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from dashboard.accounts.api_tokens import create_token
from tests.support import builders
from tests.support.builders import MakeBatch
from tests.support.everything import DEFINITION, one_of_everything
from tests.support.page_outline import PageOutline
from tests.support.routes import FOREIGN, SAFE, Caller, Form, Route, every_route
from tests.test_layout import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("temporal_away")]

PAGE = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- routes: begin -->", "<!-- routes: end -->"

OPEN_TO_ALL = {"login", "javascript-catalog", "logout", "api-unknown", "api-root"}
"""Names of routes that need no login: what a login page needs, health, and what only says that there is nothing."""

OF_PROGRAMS = re.compile(r"api/v1/(worker/.*|watches/events)$")

Table = dict[tuple[str, str], dict[str, bool]]


@pytest.fixture
def values(operator: User, make_batch: MakeBatch) -> dict[str, Any]:
    """Make one of everything that a route may name, and return the parameters of routes."""
    return one_of_everything(operator, make_batch)


@pytest.fixture
def callers(operator: User) -> list[Caller]:
    viewer = builders.make_viewer()

    def session(person: User) -> str:
        browser = Client()
        browser.force_login(person)
        return browser.cookies["sessionid"].value

    as_operator = session(operator)
    return [
        Caller("anonymous"),
        Caller("viewer", session=session(viewer)),
        Caller("operator", session=as_operator),
        Caller("no CSRF token", session=as_operator, csrf=False, only_writes=True),
        Caller("foreign Origin", session=as_operator, origin=FOREIGN, only_writes=True),
        Caller("viewer's token", token=create_token(viewer, "person")),
        Caller("operator's token", token=create_token(operator, "person")),
        Caller("worker's token", token=create_token(operator, "worker", "worker", queues=["canopy"])),
        Caller("events token", token=create_token(operator, "events", "events")),
    ]


def bodies(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return bodies that the routes accept, by method and pattern: a route that rejects one has not asked its guard."""
    batch, child = values["batch_id"], {"batch_id": values["batch_id"], "child": 0}
    chunk = {**child, "offset": 0, "length": 1, "task_queue": "canopy", "timeout": "PT1M"}
    launch = {"processor": "simulate", "count": 1}
    schedule = {"name": "Daily", "cron": "0 7 * * *", **launch}
    return {
        "POST api/v1/batches": launch,
        "POST api/v1/watches": {"workflow_id": "x"},
        "POST api/v1/watches/events": [],
        "POST api/v1/worker/chunks/read": chunk,
        "POST api/v1/worker/notes": {**child, "text": ""},
        "POST api/v1/worker/begun": {"batch_id": batch, "run_id": "r", "token": "t", "indices": []},
        "POST api/v1/worker/begun/forget": {"batch_id": batch, "run_id": "r", "token": "t", "indices": []},
        "POST api/v1/worker/results": [],
        "POST api/v1/batches/{batch_id}/retry": {"status": "failed"},
        "POST api/v1/batches/{batch_id}/operations": {"status": "failed"},
        "POST api/v1/batches/{batch_id}/decide": {"approved": True},
        "POST api/v1/batches/{batch_id}/terminate": {},
        "POST api/v1/batches/{batch_id}/window": {"window": 3},
        "POST api/v1/batches/{batch_id}/keep": {"keep": True},
        "POST api/v1/retention/rules": {"days": 1, "tag": "short"},
        "POST api/v1/schedules": schedule,
        "PATCH api/v1/schedules/{schedule_id}": {"cron": "0 7 * * *"},
        "POST api/v1/definitions": {"name": "Other", "text": DEFINITION},
        "POST api/v1/definitions/check": {"text": DEFINITION},
        "POST api/v1/definitions/{definition_id}/versions": {"text": DEFINITION, "base": 1},
        "POST api/v1/subscriptions": {
            "channel": "webhook",
            "address": "https://example.org/",
        },
        "POST api/v1/uploads": Form(file=b"words"),
        "POST api/v1/tokens": {"name": "third"},
    }


@pytest.fixture
def table(values: dict[str, Any], callers: list[Caller], settings: Settings) -> Table:
    """Request every route with every method as everybody, and return who gets through."""
    settings.ALLOWED_HOSTS = ["testserver"]
    given, found = bodies(values), dict[tuple[str, str], dict[str, bool]]()
    for route in every_route(values):
        for method in route.methods:
            body = given.get(f"{method} {route.pattern}")
            row = {caller.title: _outcome(caller, route, method, body) for caller in callers}
            if row["operator"] is not None:
                found[route.pattern, method] = {title: let for title, let in row.items() if let is not None}
    return found


def _outcome(caller: Caller, route: Route, method: str, body: Any) -> bool | None:
    if caller.only_writes and method in SAFE:
        return None
    return caller.gets_through(route, method, body)


def test_the_guard_of_every_route_is_the_documented_one(table: Table, callers: list[Caller]) -> None:
    written = _as_markdown(table, [caller.title for caller in callers])
    text = PAGE.read_text()
    head, rest = text.split(BEGIN)
    documented, tail = rest.split(END)
    if os.environ.get("CANOPY_WRITE_ROUTES"):
        PAGE.write_text(f"{head}{BEGIN}\n{written}\n{END}{tail}")
        return
    assert documented.strip() == written, "Write it anew with CANOPY_WRITE_ROUTES=1, and read what has changed."
    assert len({pattern for pattern, _ in table}) > 100
    _hold_rules(table)
    _hold_that_page_and_api_agree(table)


def test_every_page_has_a_title_one_main_landmark_and_headings_in_order(
    values: dict[str, Any], logged_in: Client
) -> None:
    found = dict[str, list[str]]()
    for route in every_route(values):
        if route.is_api or "GET" not in route.methods:
            continue
        answer = logged_in.get(route.path)
        if answer.status_code == 200 and answer["Content-Type"].startswith("text/html") and b"<html" in answer.content:
            found[route.path] = PageOutline(answer.content.decode()).problems
    assert {path: problems for path, problems in found.items() if problems} == {}
    assert len(found) > 25, list(found)


def _as_markdown(table: Table, titles: list[str]) -> str:
    head = f"| route | method | {' | '.join(titles)} |"
    lines = [head, f"| --- | --- |{' --- |' * len(titles)}"]
    marks = {True: "yes", False: "–", None: ""}
    for (pattern, method), row in sorted(table.items()):
        lines.append(f"| `/{pattern}` | {method} | {' | '.join(marks[row.get(title)] for title in titles)} |")
    return "\n".join(lines)


def _hold_rules(table: Table) -> None:
    names = {route.pattern: route.name for route in every_route({})}
    for (pattern, method), row in table.items():
        where = f"{method} /{pattern}"
        is_of_programs = OF_PROGRAMS.match(pattern) is not None
        if names.get(pattern) not in OPEN_TO_ALL:
            assert not row["anonymous"], where
            assert not row.get("no CSRF token"), where
            assert not row.get("foreign Origin"), where
            assert is_of_programs or row["operator"], where
            assert row["operator"] or not row["viewer"], where
            assert not row["worker's token"] or is_of_programs, where
            assert not row["events token"] or pattern == "api/v1/watches/events", where
            assert not (is_of_programs and (row["viewer"] or row["viewer's token"])), where
        if pattern.startswith("api/v1/") and not (is_of_programs or names.get(pattern) in OPEN_TO_ALL):
            with_session, with_token = (
                (row["viewer"], row["operator"]),
                (row["viewer's token"], row["operator's token"]),
            )
            no_token_does = names[pattern].startswith("openapi") or pattern == "api/v1/tokens"
            assert with_session == with_token or no_token_does, where


def _hold_that_page_and_api_agree(table: Table) -> None:
    """Page and API route of one thing have the same address below /api/v1, and the same method."""
    pages = {(_thing(pattern), method): row for (pattern, method), row in table.items() if "api/" not in pattern}
    pairs = 0
    for (pattern, method), row in table.items():
        page = pages.get((_thing(pattern.removeprefix("api/v1/")), method))
        if pattern.startswith("api/v1/") and page is not None:
            pairs += 1
            assert (page["viewer"], page["operator"]) == (row["viewer"], row["operator"]), f"{method} /{pattern}"
    assert pairs > 20


def _thing(pattern: str) -> str:
    return re.sub(r"\{\w+\}", "{}", pattern).rstrip("/").replace("notifications", "subscriptions")
