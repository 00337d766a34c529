"""Limits per host: concurrent requests, and the back-off of Retry-After."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from weakref import WeakKeyDictionary

import pytest

from orchestration.processors.http import host_limits
from orchestration.processors.http.host_limits import back_off, host_slot, retry_after_seconds


async def test_concurrent_requests_to_a_host_are_limited() -> None:
    most, now = 0, 0

    async def one() -> None:
        nonlocal most, now
        async with host_slot("example.org", 3, 0, nullcontext):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)
            now -= 1

    await asyncio.gather(*(one() for _ in range(12)))
    assert most == 3


def test_retry_after_is_seconds_or_a_date() -> None:
    assert [retry_after_seconds(given) for given in (None, "", "soon", "7", "999999")] == [None, None, None, 7.0, 300.0]
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 90 < (retry_after_seconds(soon) or 0) <= 100
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0


async def test_hosts_are_forgotten_beyond_a_bound_except_those_that_are_in_use_or_back_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(host_limits, "HOSTS_REMEMBERED", 3)
    monkeypatch.setattr(host_limits, "_hosts", WeakKeyDictionary())  # other tests' hosts may still wait for their rate
    back_off("backs-off.example", 100)
    async with host_slot("in-use.example", 1, 0, nullcontext):
        for number in range(50):
            async with host_slot(f"{number}.example", 1, 0, nullcontext):
                pass
    known = host_limits._hosts[asyncio.get_running_loop()]
    assert len(known) <= 3
    assert {"backs-off.example", "in-use.example"} <= known.keys()
