"""What requests send where: headers, bodies and secrets on redirects, and errors without what was filled in."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from orchestration.processors.builtin.http_request import http_request
from orchestration.processors.http import client as http_client
from orchestration.processors.http.client import RequestFailed, UnexpectedStatus
from orchestration.testing import process_items
from tests.support.echo_server import EchoHandler, request


@pytest.mark.usefixtures("allowed")
async def test_headers_do_not_follow_a_redirect_to_another_host(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = server.rsplit(":", 1)[1]
    elsewhere = f"http://localhost:{port}/elsewhere"
    monkeypatch.setenv("CANOPY_HTTP_ALLOW", "127.0.0.0/8,localhost")
    await http_client._close()
    headers = {"X-Token": "{token}", "Idempotency-Key": "{token}"}
    item = {"url": f"{server}/redirect?to={elsewhere}", "token": "of-the-item"}
    echo = {"headers": headers, "extract": "token"}
    assert (await request(item, **echo))["extract"] is None
    assert (await request(item, headers=headers, extract="once"))["extract"] is None
    same = {"url": f"{server}/redirect?to={server}/elsewhere", "token": "of-the-item"}
    assert (await request(same, **echo))["extract"] == "of-the-item"
    chain = {"url": f"{server}/redirect?to={server}/redirect?to={elsewhere}", "token": "of-the-item"}
    assert (await request(chain, **echo))["extract"] is None


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        *(("https://h/a", "https://H:443/b", True), ("http://h/", "https://h/", True)),
        *(("https://h/", "http://h/", False), ("http://h:8080/", "https://h/", False)),
        *(("http://h:1/", "http://h:2/", False), ("http://h/", "http://a.h/", False)),
    ],
)
def test_another_scheme_or_port_is_another_party(before: str, after: str, same: bool) -> None:
    assert http_client._is_same_party(httpx.Request("GET", before), httpx.Request("GET", after)) is same


@pytest.mark.usefixtures("allowed")
async def test_a_body_does_not_follow_a_redirect_to_another_host(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = server.rsplit(":", 1)[1]
    monkeypatch.setenv("CANOPY_HTTP_ALLOW", "127.0.0.0/8,localhost")
    await http_client._close()
    item = {"url": f"{server}/keep?to=http://localhost:{port}/elsewhere"}
    with pytest.raises(UnexpectedStatus, match="got 307"):
        await request(item, method="POST", body='{"a": "{url}"}')
    kept = {"url": f"{server}/keep?to={server}/elsewhere"}
    assert "/keep" in (await request(kept, method="POST", body='{"a": "{url}"}', extract="body"))["extract"]


@pytest.mark.usefixtures("allowed")
async def test_too_many_redirects_fail_and_cookies_of_one_item_are_not_those_of_another(server: str) -> None:
    with pytest.raises(RequestFailed, match="More than 5 redirects"):
        await request({"url": f"{server}/loop"})
    await request({"url": f"{server}/cookie"})
    assert (await request({"url": f"{server}/x"}, extract="cookie"))["extract"] is None


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    "body", ['{"a": "{secret:TOKEN}"}', '{"a": "\\u007bsecret:TOKEN\\u007d"}', '{"{secret:TOKEN}": 1}']
)
async def test_a_secret_in_a_body_is_never_redirected_however_it_is_spelled(
    server: str, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setenv("CANOPY_SECRET_TOKEN", "abracadabra\n")
    with pytest.raises(UnexpectedStatus, match="got 302"):
        await request({"url": f"{server}/redirect?to={server}/elsewhere"}, method="POST", body=body)
    answer = await request({"url": f"{server}/x"}, method="POST", body=body, extract="body")
    assert "abracadabra" in answer["extract"]


@pytest.mark.usefixtures("allowed")
async def test_a_secret_goes_to_the_hosts_that_the_installation_names(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_SECRET_TOKEN", "abracadabra")
    monkeypatch.setenv("CANOPY_SECRET_TOKEN__HOSTS", "crm.example.org")
    EchoHandler.visits.clear()
    attacks: list[dict[str, Any]] = [
        {"headers": {"X-Token": "{secret:TOKEN}"}},
        {"url": f"{server}/{{secret:TOKEN}}"},
        {"url": "http://crm.example.org@" + server.removeprefix("http://") + "/{secret:TOKEN}"},
        {"method": "POST", "body": '{"\\u007bsecret:TOKEN\\u007d": 1}'},
    ]
    for attack in attacks:
        outcomes = await process_items(http_request, [{"url": f"{server}/attack"}], attack, item_attempts=3)
        assert [(each.error_type, each.attempts) for each in outcomes] == [("SecretNotAllowed", 1)]
        assert "abracadabra" not in outcomes[0].error
    assert EchoHandler.visits == []
    monkeypatch.setenv("CANOPY_SECRET_TOKEN__HOSTS", f"crm.example.org,{server.removeprefix('http://')}")
    assert (await request({"url": f"{server}/x"}, **attacks[0], extract="token"))["extract"] == "abracadabra"


@pytest.mark.parametrize("value", ["abracadabra", "abraca/da bra\"'\\ü", "abra\ncadabra"])
async def test_errors_are_made_from_the_template(
    server: str, allowed: None, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("CANOPY_SECRET_TOKEN", f"{value}\n")
    attempts: list[dict[str, Any]] = [
        {"url": "http://127.0.0.1:1/{secret:TOKEN}/{id}?key={secret:TOKEN}"},
        {"url": "http://127.0.0.1:1/{id}", "headers": {"Authorization": "Bearer {secret:TOKEN}"}},
        {"url": "http://[{secret:TOKEN}/{id}"},
        {"url": "ftp://{secret:TOKEN}/{id}"},
        {"url": "{secret:TOKEN}"},
        {"url": f"{server}/{{id}}", "headers": {"X-Token": "{secret:TOKEN}\nX: y"}},
        {"url": f"{server}/slow?{{secret:TOKEN}}", "timeout": 0.2},
    ]
    pieces = [each for each in re.split(r"\W", value) if len(each) > 3]
    for parameters in attempts:
        (outcome,) = await process_items(http_request, [{"id": "seven"}], parameters, item_attempts=1)
        assert outcome.error, parameters
        for piece in (value, quote(value, safe=""), *pieces):
            assert piece not in outcome.error, parameters
        if "{secret:TOKEN}" in parameters["url"] and "/{id}" in parameters["url"]:
            assert "{secret:TOKEN}/seven" in outcome.error


@pytest.mark.usefixtures("allowed")
async def test_an_address_of_an_item_is_shown_without_its_credentials() -> None:
    items = [{"url": "http://ann:geheim@127.0.0.1:1/x?api_key=geheim"}, {"url": "ftp://ann:geheim@h/"}]
    outcomes = await process_items(http_request, items, item_attempts=1)
    assert all("geheim" not in each.error for each in outcomes)
    assert "@127.0.0.1:1/x?api_key=" in outcomes[0].error
