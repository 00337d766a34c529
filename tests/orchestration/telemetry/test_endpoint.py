"""The small HTTP server of a process: addresses, and answers while the event loop stands still."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from orchestration.telemetry import process_endpoint, pulse
from orchestration.telemetry.checks import DRAINING, Check
from orchestration.telemetry.endpoint import Answer, Endpoint, host_and_ports
from orchestration.telemetry.process_endpoint import ProcessEndpoint
from tests.support.waiting import until


async def well() -> None:
    """Find nothing wrong."""


async def get(endpoint: ProcessEndpoint, path: str, **headers: str) -> httpx.Response:
    """Request an address from another thread, as everybody outside of the process does."""
    port = await asyncio.to_thread(endpoint.endpoint.port)
    return await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}{path}", headers=headers, timeout=60)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("0.0.0.0:9090", ("0.0.0.0", range(9090, 9091))),
        ("[::]:9090", ("::", range(9090, 9091))),
        ("worker.internal:0", ("worker.internal", range(1))),
        ("0.0.0.0:9090-9093", ("0.0.0.0", range(9090, 9094))),
    ],
)
def test_an_address_has_a_host_and_a_port(given: str, found: tuple[str, range]) -> None:
    assert host_and_ports(given, "CANOPY_METRICS") == found


@pytest.mark.parametrize("given", ["9090", ":9090", "host:", "host:http", "host:70000", "host:9093-9090", ""])
def test_what_is_no_address_is_refused_with_the_name_of_its_variable(given: str) -> None:
    with pytest.raises(ValueError, match="CANOPY_METRICS is"):
        host_and_ports(given, "CANOPY_METRICS")


async def test_it_answers_probes_and_prometheus_by_any_name() -> None:
    asked_to_stop = False
    endpoint = ProcessEndpoint("127.0.0.1", [0], lambda: [Check("store", well, "-")], is_draining=lambda: asked_to_stop)
    live = await get(endpoint, "/livez", Host="10.42.8.201:9090")
    assert (live.status_code, live.json()["status"]) == (200, "ok")

    async def is_ready() -> bool:
        return (await get(endpoint, "/readyz/?verbose")).status_code == 200

    await until(is_ready, "it is ready")
    asked_to_stop = True
    draining = await get(endpoint, "/readyz")
    assert (draining.status_code, draining.json()) == (503, DRAINING)
    assert [(await get(endpoint, path)).status_code for path in ("/livez", "/healthz")] == [200, 200]
    metrics = await get(endpoint, "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'canopy_neighbour_up{neighbour="store"} ' in metrics.text
    assert (await get(endpoint, "/admin")).status_code == 404
    endpoint.close()


def test_a_loop_that_stands_still_is_not_alive_and_its_metrics_are_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loop is held by the very requests: nothing else in the process runs meanwhile."""
    monkeypatch.setattr(pulse, "FROZEN_AFTER", 0.5)
    monkeypatch.setattr(process_endpoint, "FROZEN_AFTER", 0.5)

    def asked(endpoint: ProcessEndpoint) -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        address = f"http://127.0.0.1:{endpoint.endpoint.port()}"
        alive = httpx.get(f"{address}/livez", timeout=60)
        while alive.status_code == 200:
            alive = httpx.get(f"{address}/livez", timeout=60)
        return alive, httpx.get(f"{address}/readyz", timeout=60), httpx.get(f"{address}/metrics", timeout=60)

    async def held() -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        endpoint = ProcessEndpoint("127.0.0.1", [0], lambda: [Check("store", well, "-")])
        try:
            return asked(endpoint)
        finally:
            endpoint.close()

    live, ready, metrics = asyncio.run(held())
    assert (live.status_code, live.json()["status"]) == (503, "frozen")
    assert (ready.status_code, ready.json()["failing"]) == (503, ["loop"])
    silence = [line for line in metrics.text.splitlines() if line.startswith("canopy_event_loop_silence_seconds ")]
    assert float(silence[0].split()[1]) > 0.5


def test_a_port_that_is_taken_is_listened_on_once_it_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as before:
        port = before.getsockname()[1]
        endpoint = Endpoint("127.0.0.1", [port], {"/livez": lambda: Answer.json(200, {})})
        endpoint.start()
        with pytest.raises(TimeoutError):
            endpoint.port(within=0.2)
    try:
        assert endpoint.port() == port
        assert httpx.get(f"http://127.0.0.1:{port}/livez", timeout=60).status_code == 200
    finally:
        endpoint.stop()


def test_processes_that_share_an_address_take_a_port_each() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as probe:
        ports = [taken.getsockname()[1], probe.getsockname()[1]]
        probe.close()
        endpoint = Endpoint("127.0.0.1", ports, {"/livez": lambda: Answer.json(200, {})})
        endpoint.start()
        try:
            assert endpoint.port() == ports[1]
        finally:
            endpoint.stop()


def test_clients_that_send_nothing_do_not_keep_others_out() -> None:
    endpoint = Endpoint("127.0.0.1", [0], {"/livez": lambda: Answer.json(200, {})})
    endpoint.start()
    silent = [socket.create_connection(("127.0.0.1", endpoint.port())) for _ in range(8)]
    try:
        assert httpx.get(f"http://127.0.0.1:{endpoint.port()}/livez", timeout=60).status_code == 200
    finally:
        for each in silent:
            each.close()
        endpoint.stop()
