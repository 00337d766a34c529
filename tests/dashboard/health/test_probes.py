"""/healthz: whether database, Temporal and worker respond, and 503 if one does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from dashboard.temporal import gateway
from dashboard.views import health
from orchestration.client.task_queues import WORKER_LOST_AFTER
from tests.support.stack import Stack, http
from tests.support.waiting import wait_until


@pytest.fixture
def nobody_there(settings: Settings) -> Iterator[None]:
    settings.TEMPORAL_ADDRESS = "127.0.0.1:1"
    gateway.cache_clear()
    yield
    gateway.cache_clear()


def state(stack: Stack) -> dict[str, Any]:
    answer = http.get(f"{stack.url}/healthz")
    return {"code": answer.status_code, **answer.json()}


@pytest.mark.slow
def test_each_part_that_stops_is_reported_and_each_that_recovers_is_healthy_again(fragile_stack: Stack) -> None:
    healthy = state(fragile_stack)
    assert (healthy["code"], healthy["status"]) == (200, "ok")
    assert healthy["worker"]["heartbeat_age"] < WORKER_LOST_AFTER

    fragile_stack.worker.kill()
    lost = wait_until(lambda: (now := state(fragile_stack))["code"] == 503 and now, "the worker is missed")
    assert (lost["status"], lost["worker"]["ok"], lost["temporal"]["ok"]) == ("unavailable", False, True)
    assert lost["worker"]["heartbeat_age"] >= WORKER_LOST_AFTER
    fragile_stack.worker.start()
    fragile_stack.wait_healthy()

    fragile_stack.temporal.stop()
    gone = wait_until(lambda: (now := state(fragile_stack))["code"] == 503 and now, "Temporal is missed")
    assert (gone["temporal"]["ok"], gone["database"]["ok"]) == (False, True)
    assert "Can't reach Temporal" in gone["temporal"]["error"]
    fragile_stack.temporal.start()
    fragile_stack.wait_healthy()


@pytest.mark.django_db
def test_health_needs_no_login_and_is_not_cached(visitor: Client, nobody_there: None) -> None:
    answer = visitor.get("/healthz")
    assert answer.status_code == 503
    assert "no-store" in answer["Cache-Control"]
    assert visitor.post("/healthz").status_code == 405


@pytest.mark.django_db
def test_an_unreachable_database_is_reported_without_its_address(
    visitor: Client, nobody_there: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        def cursor(self) -> Any:
            raise OperationalError("no route to db.internal:5432")

    monkeypatch.setattr(health, "connection", Gone())
    answer = visitor.get("/healthz")
    assert (answer.status_code, answer.json()["database"]["ok"]) == (503, False)
    assert "internal" not in answer.text
