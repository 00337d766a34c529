"""RemoteStore: which answers say that the dashboard is away, and which that a call is wrong."""

from __future__ import annotations

import httpx
import pytest

from orchestration.contracts.stores import StoreAway
from orchestration.remote import store
from orchestration.remote.store import RemoteStore, StoreRefused


def store_that_gets(monkeypatch: pytest.MonkeyPatch, answer: httpx.Response | Exception) -> RemoteStore:
    def answered(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = httpx.Client(transport=httpx.MockTransport(answered), base_url="http://canopy")
    monkeypatch.setattr(store, "bearer_client", lambda *given, **more: client)
    return RemoteStore("http://canopy", "token")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        *[(httpx.Response(status, text="<html>"), StoreAway) for status in (408, 429, 500, 502, 503, 504, 520)],
        (httpx.ConnectError("refused"), StoreAway),
        (httpx.ReadTimeout("silent"), StoreAway),
        (httpx.RemoteProtocolError("cut"), StoreAway),
        (httpx.Response(401, json={"detail": "who?"}), StoreRefused),
        (httpx.Response(404, json={"detail": "gone"}), LookupError),
        (httpx.Response(422, json={"detail": "no"}), httpx.HTTPStatusError),
    ],
)
def test_any_failure_of_the_dashboard_is_waited_for_and_a_refusal_is_not(
    monkeypatch: pytest.MonkeyPatch, answer: httpx.Response | Exception, error: type[Exception]
) -> None:
    with pytest.raises(error):
        store_that_gets(monkeypatch, answer).check()
    with pytest.raises(error):
        list(store_that_gets(monkeypatch, answer).read_upload("one"))
