"""A limit that several web processes keep together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from dashboard.models import ThrottleCount
from dashboard.server.shared_throttle import SharedThrottle

AT_ONCE = 4
LIMIT = 10


@pytest.mark.django_db(transaction=True)
def test_connections_at_the_same_time_get_together_what_is_allowed() -> None:
    begin = threading.Barrier(AT_ONCE)

    def taken(number: int) -> int:
        throttle = SharedThrottle("tries", LIMIT, 60)
        try:
            begin.wait(timeout=60)
            return sum(throttle.take("192.0.2.1") for _ in range(LIMIT))
        finally:
            connection.close()

    with ThreadPoolExecutor(AT_ONCE) as threads:
        assert sum(threads.map(taken, range(AT_ONCE))) == LIMIT
    assert SharedThrottle("tries", LIMIT, 60).retry_after("192.0.2.1") > 0


@pytest.mark.django_db
def test_keys_and_purposes_are_counted_apart_and_forgotten_with_time() -> None:
    throttle, other = SharedThrottle("tries", 1, 60), SharedThrottle("others", 1, 60)
    long = "x" * 5_000
    assert [throttle.take(key) for key in ("a", "b", "a", long, long)] == [True, True, False, True, False]
    assert other.take("a")
    assert 1 <= throttle.retry_after("a") <= 61
    assert throttle.retry_after("c") == 0
    ThrottleCount.objects.update(ends_at=Now() - timedelta(seconds=1))
    assert throttle.retry_after("a") == 0
    assert throttle.take("a")
    assert ThrottleCount.objects.count() == 1, "what is over leaves nothing"
