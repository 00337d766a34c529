"""Probes of the web process: what lives, what is ready, and who may read metrics, whatever host they ask for."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import Settings

from dashboard.health import checks, gauges, probes
from dashboard.health.probes import answering_probes
from dashboard.temporal import gateway
from orchestration.client.task_queues import WORKER_LOST_AFTER
from orchestration.telemetry.checks import Check, Failed
from tests.support.stack import Stack, http
from tests.support.waiting import until, wait_until


async def beyond(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """What is behind the probes."""
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ask(
    path: str, method: str = "GET", peer: str = "127.0.0.1", **headers: str
) -> tuple[int, dict[str, str], str]:
    """Return status, headers and body of a request to an application with probes."""
    sent = list[dict[str, Any]]()
    names = {"host": "127.0.0.1:8000"} | {name.replace("_", "-").lower(): value for name, value in headers.items()}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "client": (peer, 50_000),
        "headers": [(name.encode(), value.encode()) for name, value in names.items()],
    }

    async def keep(message: dict[str, Any]) -> None:
        sent.append(message)

    await answering_probes(beyond)(scope, None, keep)
    start, body = sent
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], found, body["body"].decode()


async def well() -> Mapping[str, Any]:
    return {}


async def told() -> None:
    raise Failed("It is away.")


@pytest.fixture
def one_away(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Check("database", well, "-"), Check("temporal", told, "-")]
    monkeypatch.setattr(probes, "needed_to_serve", lambda: found)
    monkeypatch.setattr(probes, "needed_by_batches", lambda: found)


@pytest.mark.usefixtures("one_away")
async def test_a_process_lives_while_what_it_needs_is_away_and_is_not_ready() -> None:
    for host in ("10.42.8.201:8000", "[fd00::7]:8000", "canopy.example.org", ""):
        assert (await ask("/livez", host=host))[0] == 200
        status, headers, body = await ask("/readyz", host=host)
        assert (status, json.loads(body)["failing"]) == (503, ["temporal"])
        assert headers["retry-after"]
    assert (await ask("/healthz/"))[0] == 503
    status, headers, body = await ask("/readyz", method="HEAD")
    assert (status, body, headers["cache-control"]) == (503, "", "no-store")
    assert (await ask("/livez", method="POST"))[0] == 405
    assert (await ask("/livez/more"))[0] == (await ask("/"))[0] == 418


async def test_probes_are_answered_below_the_prefix_of_the_installation_too(settings: Settings) -> None:
    settings.FORCE_SCRIPT_NAME = "/canopy"
    assert (await ask("/canopy/livez"))[0] == 200
    assert (await ask("/livez"))[0] == 200


@pytest.mark.usefixtures("one_away")
@pytest.mark.parametrize(
    ("allowed", "changed", "asked"),
    [
        (True, {}, {}),
        (True, {}, {"peer": "::1", "host": "[::1]:8000"}),
        (False, {}, {"peer": "10.1.2.3"}),
        (False, {}, {"x_forwarded_for": "10.1.2.3"}),
        (False, {}, {"forwarded": "for=10.1.2.3"}),
        (False, {}, {"host": "canopy.evil.example"}),
        (False, {"CANOPY_URL": "https://canopy.example.org"}, {}),
        (False, {"NEW_PASSWORD_REQUIRED": True}, {}),
        (False, {"CANOPY_METRICS_TOKEN": "a-token"}, {}),
        (False, {"CANOPY_METRICS_TOKEN": "a-token"}, {"authorization": "Bearer another"}),
        (False, {"CANOPY_METRICS_TOKEN": "a-token"}, {"authorization": "Basic a-token"}),
        (True, {"CANOPY_METRICS_TOKEN": "a-token"}, {"authorization": "Bearer a-token", "peer": "10.1.2.3"}),
        (
            True,
            {"CANOPY_METRICS_TOKEN": "a-token", "CANOPY_URL": "https://canopy.example.org"},
            {"authorization": "bearer a-token", "host": "10.42.8.201:8000", "peer": "10.1.2.3"},
        ),
    ],
)
async def test_metrics_are_for_who_has_the_token_and_without_one_for_a_machine_of_its_own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, allowed: bool, changed: dict[str, Any], asked: dict[str, str]
) -> None:
    async def nothing() -> None:
        """Read nothing."""

    monkeypatch.setattr(probes, "needed_by_batches", list)
    monkeypatch.setattr(gauges.open_batches, "refresh", nothing)
    settings.CANOPY_URL, settings.NEW_PASSWORD_REQUIRED = "http://127.0.0.1:8000", False
    for name, value in changed.items():
        setattr(settings, name, value)
    status, headers, body = await ask("/metrics", **asked)
    assert status == (200 if allowed else 401)
    assert ("canopy_build_info{" in body) is allowed
    assert ("www-authenticate" in headers) is not allowed


async def test_an_exhausted_pool_of_threads_does_not_keep_a_probe_from_its_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that wait for a database fill the pool that every request uses."""
    release, loop = asyncio.Event(), asyncio.get_running_loop()
    held = [loop.run_in_executor(None, _hold, loop, release) for _ in range(64)]
    try:
        monkeypatch.setattr(checks, "needed_to_serve", list)
        check = Check("quick", checks.in_thread_of_its_own(dict, "quick"), "-")
        monkeypatch.setattr(probes, "needed_to_serve", lambda: [check])

        async def is_ready() -> bool:
            return (await ask("/readyz"))[0] == 200

        await until(is_ready, "it is ready")
    finally:
        release.set()
        await asyncio.gather(*held)


def _hold(loop: asyncio.AbstractEventLoop, release: asyncio.Event) -> None:
    asyncio.run_coroutine_threadsafe(release.wait(), loop).result()


@pytest.mark.django_db
def test_a_database_without_its_tables_is_said_to_lack_them() -> None:
    checks._migrations()
    newest = MigrationRecorder.Migration.objects.filter(app="dashboard").order_by("pk").last()
    assert newest is not None
    newest.delete()
    with pytest.raises(Failed, match=rf"run `canopy migrate`. Missing: dashboard.{newest.name}"):
        checks._migrations()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_migrations")
    with pytest.raises(Failed, match=r"and \d+ more"):
        checks._migrations()


def test_what_may_be_away_is_said_by_the_installation(settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    names = [check.name for check in checks.needed_to_serve()]
    assert names == ["database", "migrations", "temporal", "redis"]
    settings.CANOPY_READY_NEEDS = ["database", "migrations"]
    assert [check.name for check in checks.needed_to_serve()] == ["database", "migrations"]
    assert [check.name for check in checks.needed_by_batches()] == [*names, "worker"]


async def test_neighbours_that_are_gone_are_told_without_their_addresses(
    nobody_there: None, settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    temporal, redis = await checks.TEMPORAL._found(), await checks.REDIS._found()  # without their bound of time
    assert (temporal.ok, temporal.error) == (False, "Can't reach Temporal.")
    assert (redis.ok, redis.error) == (False, "Can't reach Redis.")


@pytest.fixture
def nobody_there(settings: Settings) -> Iterator[None]:
    settings.TEMPORAL_ADDRESS = "127.0.0.1:1"
    gateway.cache_clear()
    yield
    gateway.cache_clear()


def state(stack: Stack, probe: str = "healthz") -> dict[str, Any]:
    answer = http.get(f"{stack.url}/{probe}", headers={"Host": "10.42.8.201:8000"})
    return {"code": answer.status_code, **answer.json()}


@pytest.mark.slow
def test_each_part_that_stops_is_reported_and_each_that_recovers_is_healthy_again(fragile_stack: Stack) -> None:
    healthy = wait_until(lambda: (now := state(fragile_stack))["code"] == 200 and now, "it is healthy")
    assert healthy["status"] == "ok"
    assert healthy["worker"]["heartbeat_age"] < WORKER_LOST_AFTER
    ready = wait_until(lambda: (now := state(fragile_stack, "readyz"))["code"] == 200 and now, "it is ready")
    assert ready["migrations"] == {"ok": True, "error": ""}
    of_worker = f"http://{fragile_stack.environment['CANOPY_WORKER_HTTP']}"
    wait_until(lambda: http.get(f"{of_worker}/readyz").status_code == 200, "the worker is ready")
    metrics = http.get(f"{of_worker}/metrics").text
    assert 'temporal_worker_task_slots_available{namespace="default",task_queue="canopy"' in metrics
    assert {"canopy_items_started_total", "canopy_threads_stuck"} <= set(
        re.findall(r"^# TYPE (\S+)", metrics, re.MULTILINE)
    )

    fragile_stack.worker.kill()
    lost = wait_until(
        lambda: (now := state(fragile_stack))["code"] == 503 and now["failing"] == ["worker"] and now,
        "the worker is missed",
    )
    assert (lost["status"], lost["worker"]["ok"], lost["temporal"]["ok"]) == ("unavailable", False, True)
    assert lost["worker"]["heartbeat_age"] >= WORKER_LOST_AFTER
    fragile_stack.worker.start()
    fragile_stack.wait_healthy()

    fragile_stack.temporal.stop()
    gone = wait_until(
        lambda: (now := state(fragile_stack, "readyz"))["failing"] == ["temporal"] and now, "Temporal is missed"
    )
    assert (gone["code"], gone["database"]["ok"]) == (503, True)
    assert gone["temporal"]["error"]
    assert state(fragile_stack, "livez")["code"] == 200
    wait_until(lambda: http.get(f"{of_worker}/readyz").json().get("failing") == ["temporal"], "the worker misses it")
    assert http.get(f"{of_worker}/livez").status_code == 200
    fragile_stack.temporal.start()
    fragile_stack.wait_healthy()
