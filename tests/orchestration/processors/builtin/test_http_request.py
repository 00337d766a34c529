"""http_request: on a real server on loopback, and with addresses that the egress policy refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from orchestration.processors.builtin.http_request import InvalidResponse, expected_statuses, http_request
from orchestration.processors.catalogue import get_processor
from orchestration.processors.http import client as http_client
from orchestration.processors.http.client import InvalidRequest, RequestFailed, UnexpectedStatus
from orchestration.processors.http.egress import AddressRefused, EgressPolicy, GuardedBackend, GuardedTransport
from orchestration.processors.http.public_addresses import Address
from orchestration.processors.templating import UnknownField
from orchestration.testing import process_items
from tests.support.echo_server import EchoHandler, request


@pytest.mark.usefixtures("allowed")
async def test_a_request_reports_status_duration_size_and_extract(server: str) -> None:
    result = await request(
        {"url": f"{server}/echo", "id": "a b", "n": 3},
        url="{url}/{id}?n={n}",
        method="POST",
        headers={"X-Token": "t-{n}"},
        body='{"number": "{n}", "text": "no {n}"}',
        extract="path",
    )
    assert (result["status"], result["extract"]) == (200, "/echo/a%20b?n=3")
    assert result["duration"] > 0
    assert result["size"] > 10
    body = await request({"value": f"{server}/x"}, method="POST", body='{"k": "{key}"}', extract="body")
    assert json.loads(body["extract"]) == {"k": "k"}


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    ("parameters", "sent"),
    [
        ({"method": "POST"}, "batch/0"),
        ({"method": "GET"}, None),
        ({"method": "PATCH", "headers": {"idempotency-key": "own"}}, "own"),
    ],
)
async def test_methods_that_are_not_idempotent_send_an_idempotency_key(
    server: str, parameters: dict[str, Any], sent: str | None
) -> None:
    result = await request({"value": f"{server}/x"}, **parameters, extract="once")
    assert result["extract"] == sent


@pytest.mark.usefixtures("allowed")
async def test_an_unexpected_status_fails_with_expected_and_actual_status(server: str) -> None:
    with pytest.raises(UnexpectedStatus, match="Expected 200-299, got 500 Internal Server Error"):
        await request({"url": f"{server}/status/500"})
    assert (await request({"url": f"{server}/status/404"}, expected_status="200,400-404"))["status"] == 404


@pytest.mark.usefixtures("allowed")
async def test_invalid_requests_and_missing_responses_are_distinguished(server: str) -> None:
    with pytest.raises(InvalidRequest):
        await request({"url": "ftp://127.0.0.1/"})
    with pytest.raises(InvalidRequest):
        await request({"url": "not an address"})
    with pytest.raises(UnknownField, match="no field 'missing'"):
        await request({"url": server}, url="{missing}")
    with pytest.raises(InvalidResponse):
        await request({"url": f"{server}/status/200"}, extract="a")
    with pytest.raises(RequestFailed):
        await request({"url": "http://127.0.0.1:1/"})
    with pytest.raises(RequestFailed, match=r"within 0\.2 s"):
        await request({"url": f"{server}/slow"}, timeout=0.2)


@pytest.mark.usefixtures("public_only")
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"],
)
async def test_private_addresses_are_refused(host: str) -> None:
    with pytest.raises(AddressRefused, match="CANOPY_HTTP_ALLOW"):
        await request({"url": f"http://{host}:9/"})


async def test_a_redirect_to_a_private_address_is_refused(server: str) -> None:
    class PublicFirst(GuardedBackend):
        """Forces the fault: the first host looks public, as a hostile name would."""

        async def resolve(self, host: str, port: int) -> Sequence[Address]:
            return [ip_address("127.0.0.1")]

    policy = EgressPolicy.of(["inviting.example"])
    async with httpx.AsyncClient(transport=GuardedTransport(PublicFirst(policy)), follow_redirects=True) as client:
        port = server.rsplit(":", 1)[1]
        assert (await client.get(f"http://inviting.example:{port}/ok")).status_code == 200
        with pytest.raises(AddressRefused):
            await client.get(f"http://inviting.example:{port}/redirect?to={server}/secret")


async def test_the_address_that_was_checked_is_the_one_connected_to(server: str) -> None:
    class Rebinding(GuardedBackend):
        """Forces the fault: public when first resolved, private afterwards."""

        asked = 0

        async def resolve(self, host: str, port: int) -> Sequence[Address]:
            self.asked += 1
            return [ip_address("203.0.113.9" if self.asked > 1 else "127.0.0.1")]

    backend = Rebinding(EgressPolicy())
    with pytest.raises(AddressRefused):
        await backend.connect_tcp("rebinding.example", int(server.rsplit(":", 1)[1]), timeout=1)
    assert backend.asked == 1, "the address that was checked is the one connected to, without asking again"


def test_expected_statuses_are_numbers_and_ranges() -> None:
    assert expected_statuses("200-202, 304") == {200, 201, 202, 304}
    for wrong in ("", "abc", "300-200", "99", "600"):
        with pytest.raises(ValueError, match="is n"):
            expected_statuses(wrong)


@pytest.mark.parametrize("wrong", [{"body": "{"}, {"expected_status": "x"}, {"timeout": 0}, {"method": "BREW"}])
def test_invalid_parameters_are_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        get_processor("http_request").bind(wrong)


async def test_connections_are_reused(server: str, allowed: None) -> None:
    await asyncio.gather(*(request({"url": f"{server}/{index}"}) for index in range(20)))
    assert http_client.client() is http_client.client()


async def test_a_request_with_a_secret_does_not_follow_redirects(
    server: str, allowed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANOPY_SECRET_TOKEN", "abracadabra")
    headers = {"X-Token": "{secret:TOKEN}"}
    answer = await request({"url": f"{server}/there"}, headers=headers, extract="token")
    assert answer["extract"] == "abracadabra"  # what leaves the worker is masked: test_secrets
    elsewhere = {"url": f"{server}/redirect?to={server}/elsewhere"}
    assert (await request(elsewhere, extract="path"))["extract"] == "/elsewhere"
    with pytest.raises(UnexpectedStatus, match="got 302"):
        await request(elsewhere, headers=headers)


async def test_requests_per_second_to_a_host_are_limited(server: str, allowed: None) -> None:
    EchoHandler.visits.clear()
    items = [{"url": f"{server}/paced/{number}"} for number in range(9)]
    outcomes = await process_items(http_request, items, {"per_second": 2}, item_timeout=3)
    assert [each.error for each in outcomes] == [""] * 9, "waiting for its turn is not counted against an item"
    times = sorted(at for _, at in EchoHandler.visits)
    assert times[-1] - times[0] >= 3.0, "4 s, but the first may have been on its way for long"


async def test_a_retry_after_holds_back_all_items_of_the_host(server: str, allowed: None) -> None:
    EchoHandler.visits.clear()
    items = [{"url": f"{server}/busy/1"}, *({"url": f"{server}/other/{number}"} for number in range(3))]
    outcomes = await process_items(http_request, items, {"at_once": 1}, item_attempts=2)
    assert [(each.error, each.attempts) for each in outcomes] == [("", 2), *[("", 1)] * 3]
    (first, refused_at), *later = EchoHandler.visits
    assert first == "/busy/1"
    assert all(at - refused_at >= 0.95 for _, at in later)
    (failed,) = await process_items(http_request, [{"url": f"{server}/busy/2"}], item_attempts=1)
    assert failed.error == "Expected 200-299, got 429 Too Many Requests. It asks to wait 2 s."


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key", "cookie"])
def test_a_credential_in_a_header_is_rejected(name: str) -> None:
    http = get_processor("http_request")
    with pytest.raises(ValidationError, match=f"{name}: values entered here are stored with the batch"):
        http.bind({"headers": {name: "Bearer abc"}})
    for kept in ("Bearer {secret:CRM}", "{token_of_the_item}"):
        http.bind({"headers": {name: kept}})
    http.bind({"headers": {"X-Request-Source": "canopy"}})
