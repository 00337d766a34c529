"""Whether a worker is alive does not depend on its clock, nor on that of whoever looks. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.client.heartbeats import Heartbeats

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
INTERVAL = timedelta(seconds=2)
DIED = 60


def beat(second: float) -> float:
    """Return when the last heartbeat before a second was sent, every two seconds until DIED."""
    return min(second, DIED) // 2 * 2


def ages(looks: Callable[[int], bool], worker: float, reader: Callable[[float], float]) -> dict[int, float]:
    """Return the age of the newest heartbeat at each look, by clocks of worker and reader that are off by seconds."""
    found, clock = dict[int, float](), 0.0
    heartbeats = Heartbeats(lambda: clock)
    for second in range(10, 120):
        if looks(second):
            clock = second + 0.5
            sent = NOW + timedelta(seconds=beat(clock) + worker)
            now = NOW + timedelta(seconds=clock + reader(clock))
            found[second] = heartbeats.age("worker", sent, INTERVAL, now).total_seconds()
    return found


@pytest.mark.parametrize("off", [-3600, -90, -9, -1, 0, 1, 9, 90, 3600])
@pytest.mark.parametrize("step", [2, 3, 10])
def test_a_clock_that_is_off_is_known_from_the_second_look_on(off: int, step: int) -> None:
    found = ages(lambda second: second % step == 0, off, lambda _: 0)
    first = min(found)
    for second, age in found.items():
        true = second + 0.5 - beat(second + 0.5)
        assert age >= 0
        assert second == first or abs(age - true) <= step + 2, f"at {second} s"


def test_a_clock_that_is_right_is_believed_at_first_sight_and_however_rarely_it_is_looked_at() -> None:
    assert ages(lambda second: second == 100, 0, lambda _: 0) == {100: 40.5}
    assert ages(lambda second: second in (20, 100), 0, lambda _: 0)[100] == 40.5


def test_a_clock_of_the_reader_that_is_set_anew_makes_no_worker_lost_or_found() -> None:
    found = ages(lambda second: second % 2 == 0, 0, lambda second: 3600 if second > 30 else 0)
    assert max(age for second, age in found.items() if second < DIED) <= 4
    assert found[118] == 58.5
