"""No request makes a 500, whatever characters and numbers its address, query, form or JSON has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from dashboard.api.root import api
from tests.support.builders import MakeBatch

pytestmark = pytest.mark.django_db

PARAMETER = re.compile(r"<(?:\w+:)?(?P<name>\w+)>|\{(?P<api>\w+)\}|\(\?P<(?P<group>\w+)>[^()]*\)")
FORM = "application/x-www-form-urlencoded"
HOSTILE = ["a\0b", "9" * 30]
NAMES = """
after ask at batch chart column columns comparison confirm cursor definition direction error example for from kind like
limit mark nodes open page preset q revision search seconds signature sort span status tag until value version view
whole window with items label key format text upload count idempotency_key name note base launch action tags username
password reason parameters-seed plan-window plan-task_queue processor parameters plan workflow_id interval cron token
""".split()  # noqa: SIM905


def patterns(resolver: URLResolver | None = None, before: str = "") -> Iterator[str]:
    """Yield the routes of pages."""
    for each in (resolver or get_resolver()).url_patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLPattern):
            yield route
        elif not route.startswith("api/"):
            yield from patterns(each, route)


def routes() -> list[str]:
    """Return the routes of pages and of the API, with their parameters."""
    found = {*patterns(), *(path.removeprefix("/") for path in api.get_openapi_schema()["paths"])}
    return sorted("/" + re.sub(r"[\^$\\]", "", route) for route in found)


def filled(route: str, known: dict[str, str]) -> str:
    """Return a route with values for its parameters."""
    return quote(PARAMETER.sub(lambda each: known.get(each[each.lastgroup or 0], "1"), route), errors="surrogatepass")


def addresses(known: dict[str, str]) -> Iterator[str]:
    """Yield each address with each hostile value in place of one of its parameters, and in its query string."""
    for route in routes():
        for each in PARAMETER.finditer(route):
            yield from (filled(route, known | {each[each.lastgroup or 0]: value}) for value in HOSTILE)
        for value in HOSTILE:
            query = "&".join(f"{name}={quote(value, errors='surrogatepass')}" for name in NAMES)
            yield f"{filled(route, known)}?{query}"


@pytest.fixture
def known(make_batch: MakeBatch) -> dict[str, str]:
    """Values of parameters that exist."""
    batch = make_batch()
    return {
        "batch_id": batch.pk,
        "node_id": str(batch.nodes.values_list("pk")[0][0]),
        "name": "simulate",
        "form": "csv",
    }


def test_no_address_makes_a_500(browser: Client, known: dict[str, str]) -> None:
    browser.raise_request_exception = False
    answers = {address: browser.get(address).status_code for address in addresses(known)}
    assert len(answers) > 300
    assert not [address[:200] for address, status in answers.items() if status == 500]
    assert {status for address, status in answers.items() if "%00" in address} == {400}


def test_no_form_and_no_json_makes_a_500(browser: Client, known: dict[str, str]) -> None:
    browser.raise_request_exception = False
    failed = list[str]()
    for route in routes():
        for value in HOSTILE:
            fields, path = dict.fromkeys(NAMES, value), filled(route, known)
            if path.startswith("/api/"):
                answer = browser.post(path, json.dumps(fields), content_type="application/json")
            elif "log" not in path:
                answer = browser.post(path, urlencode(fields, errors="surrogatepass"), content_type=FORM)
            if answer.status_code == 500:
                failed.append(f"{path} {value[:9]!r}")
    assert not failed
