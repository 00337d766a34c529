"""Limits per host: concurrent requests, and the back-off of Retry-After."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from orchestration.processors.http.host_limits import host_slot, retry_after_seconds


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
