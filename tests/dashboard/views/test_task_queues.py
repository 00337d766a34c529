"""Queues and Home: a frozen worker is not answering, and stuck threads are counted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.temporal import gateway
from orchestration.client.reader import TemporalHealth, WorkerState
from orchestration.client.task_queues import QueueKind, QueueSnapshot
from tests.orchestration.client.test_task_queues import NOW, worker

pytestmark = pytest.mark.django_db


def test_queues_show_frozen_workers_and_stuck_threads(logged_in: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    behind = timezone.now() - NOW
    frozen, works = worker(1, 40), replace(worker(1, 1), identity="8@host", stuck={"slow_report": 3}, lag=4.0)
    frozen, works = (
        replace(each, heartbeat_at=each.heartbeat_at + behind, python_at=each.python_at and each.python_at + behind)
        for each in (frozen, works)
    )

    async def queues(names: Iterable[str]) -> list[QueueSnapshot]:
        return [QueueSnapshot("canopy", QueueKind.ACTIVITY, [works.identity], [works], [frozen])]

    monkeypatch.setattr(gateway(), "queues", queues)
    text = logged_in.get("/queues/").text
    assert "not answering for" in text
    assert "3 stuck threads of slow_report" in text
    assert re.search("event loop 4[^<]* late", text)


def test_home_says_that_the_worker_is_frozen(logged_in: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def health() -> TemporalHealth:
        return TemporalHealth(reachable=True, worker_heartbeat_age=12.0, worker=WorkerState.FROZEN)

    monkeypatch.setattr(gateway(), "health", health)
    assert "its process lives, but has done nothing for 12 s" in logged_in.get("/").text
