"""RemoteStore: which answers say that the dashboard is away, and which that a call is wrong."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from orchestration.contracts.chunks import ItemResult
from orchestration.contracts.stores import StoreAway
from orchestration.remote import store
from orchestration.remote.store import RemoteStore, StoreRefused
from orchestration.remote.wire import RESULTS


def store_that_gets(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[httpx.Request], httpx.Response | Exception]
) -> RemoteStore:
    def answered(request: httpx.Request) -> httpx.Response:
        made = answer(request)
        if isinstance(made, Exception):
            raise made
        return made

    client = httpx.Client(transport=httpx.MockTransport(answered), base_url="http://canopy")
    monkeypatch.setattr(store, "bearer_client", lambda *given, **more: client)
    return RemoteStore("http://canopy", "token")


def problem(status: int) -> httpx.Response:
    return httpx.Response(status, json={"detail": "so it is", "errors": {}})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        *[(problem(status), StoreAway) for status in (302, 400, 408, 421, 425, 429, 500, 502, 503, 504, 520)],
        *[(httpx.Response(status, html="<h1>Not now</h1>"), StoreAway) for status in (200, 302, 404, 500, 502)],
        (httpx.Response(404, text="404 page not found"), StoreAway),
        (httpx.Response(404, json={"message": "no Route matched with those values"}), StoreAway),
        (httpx.ConnectError("refused"), StoreAway),
        (httpx.ConnectError("[Errno -2] Name or service not known"), StoreAway),
        (httpx.ReadTimeout("silent"), StoreAway),
        (httpx.RemoteProtocolError("cut"), StoreAway),
        (problem(401), StoreRefused),
        (problem(403), StoreRefused),
        (problem(404), LookupError),
        (problem(422), httpx.HTTPStatusError),
    ],
)
def test_any_failure_of_the_dashboard_is_waited_for_and_an_error_of_the_call_is_not(
    monkeypatch: pytest.MonkeyPatch, answer: httpx.Response | Exception, error: type[Exception]
) -> None:
    with pytest.raises(error):
        store_that_gets(monkeypatch, lambda request: answer).check()
    with pytest.raises(error):
        list(store_that_gets(monkeypatch, lambda request: answer).read_upload("one"))


def test_a_worker_that_is_refused_waits_too() -> None:
    assert issubclass(StoreRefused, StoreAway), "a token may be renewed meanwhile, and no item fails for it"


def test_where_a_redirect_leads_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """CANOPY_URL with http://, of a dashboard behind TLS."""
    moved = httpx.Response(308, headers={"Location": "https://canopy.example.org/api"}, text="")
    with pytest.raises(StoreAway, match=r"308: it redirects to https://canopy\.example\.org/api"):
        store_that_gets(monkeypatch, lambda request: moved).check()


def test_results_that_a_proxy_takes_for_too_large_are_sent_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = list[int]()

    def answer(request: httpx.Request) -> httpx.Response:
        given = RESULTS.validate_json(request.content)
        if len(given) > 3:
            return httpx.Response(413, html="<h1>413 Request Entity Too Large</h1>")
        taken.extend(result.index for result in given)
        return httpx.Response(204)

    results = [ItemResult("b", 0, "run", index, 1, 0.1, result="x") for index in range(10)]
    store_that_gets(monkeypatch, answer).write_results(results)
    assert taken == list(range(10))
