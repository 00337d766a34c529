"""What is counted of requests, and what their lines of the log say: few labels, the route's name, no address."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import resolve

from dashboard.metrics import requests
from dashboard.metrics.requests import ABOUT, measured, note_person, note_route
from orchestration.telemetry import log_context
from orchestration.telemetry.registry import REGISTRY


def counted(**labels: str) -> float:
    return REGISTRY.get_sample_value("canopy_http_requests_total", labels) or 0.0


class App:
    """Answers with a status, as a request that leads to an address; keeps what the log would say."""

    def __init__(self, status: int, path: str = "") -> None:
        self._status, self._path, self.about = status, path, dict[str, Any]()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if self._path:
            request = HttpRequest()
            request.scope, request.resolver_match = scope, resolve(self._path)  # type: ignore[attr-defined]
            note_route(request)
            note_person(request, User(username="ada"))
        self.about = log_context.fields()
        if not self._status:
            raise RuntimeError("nobody foresaw it")
        await send({"type": "http.response.start", "status": self._status, "headers": []})


async def get(app: App, path: str = "/", method: str = "GET", given_id: bytes = b"") -> dict[bytes, bytes]:
    sent = list[dict[str, Any]]()

    async def keep(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [(b"x-request-id", given_id)]}
    await measured(app, "/static/")(scope, None, keep)
    return dict(sent[0]["headers"])


async def test_a_request_counts_under_the_name_of_its_route_and_its_lines_say_who_asks() -> None:
    labels = {"route": "batch-detail", "method": "GET", "status": "200"}
    before, app = counted(**labels), App(200, "/batches/0123456789ab/")
    headers = await get(app, "/batches/0123456789ab/", given_id=b"from-the-proxy-7")
    assert counted(**labels) == before + 1
    assert headers[b"x-request-id"] == b"from-the-proxy-7"
    assert app.about == {"request": "from-the-proxy-7", "method": "GET", "route": "batch-detail", "user": "ada"}
    assert log_context.fields() == {}


@pytest.mark.parametrize(
    ("path", "method", "status", "labels"),
    [
        ("/wp-admin/setup.php", "GET", 404, {"route": "none", "method": "GET", "status": "404"}),
        ("/static/css/tokens.css", "GET", 200, {"route": "static", "method": "GET", "status": "200"}),
        ("/", "BREW", 405, {"route": "none", "method": "other", "status": "405"}),
    ],
)
async def test_what_strangers_send_makes_no_labels(path: str, method: str, status: int, labels: dict[str, str]) -> None:
    before = counted(**labels)
    await get(App(status), path, method)
    assert counted(**labels) == before + 1


async def test_an_id_that_could_break_a_line_is_replaced() -> None:
    app = App(200)
    headers = await get(app, given_id=b'x" level=critical\n')
    assert len(headers[b"x-request-id"]) == 16
    assert app.about["request"].encode() == headers[b"x-request-id"]


async def test_a_request_that_ends_in_an_exception_is_a_500() -> None:
    labels = {"route": "none", "method": "GET", "status": "500"}
    before = counted(**labels)
    with pytest.raises(RuntimeError):
        await get(App(0))
    assert counted(**labels) == before + 1
    assert REGISTRY.get_sample_value("canopy_http_requests_in_flight") == 0


def test_a_request_of_the_test_client_has_no_scope_and_says_nothing() -> None:
    note_person(HttpRequest(), User(username="ada"))
    assert requests.ABOUT == ABOUT
    logging.getLogger(__name__).debug("nothing is raised")
