"""Pace: samples of what was done, and how sure the time that is left is."""

from __future__ import annotations

import random

import pytest

from orchestration.throughput import LONGEST_ETA, SAMPLE_WINDOW, Samples, add_sample, eta_bounds, rate_and_eta


def steady(rate: float, seconds: int) -> Samples:
    """Return samples of something that goes on at one rate, up to second `seconds`."""
    samples: Samples = []
    for second in range(seconds + 1):
        samples = add_sample(samples, second, round(rate * second))
    return samples


def test_what_hardly_moves_has_a_rate_and_no_time_left() -> None:
    assert rate_and_eta(50, 50, LONGEST_ETA, is_running=True) == (50 / LONGEST_ETA, LONGEST_ETA)
    assert rate_and_eta(50, 51, LONGEST_ETA, is_running=True) == (50 / LONGEST_ETA, None)


def test_samples_are_of_one_minute_and_of_what_was_done_before_it() -> None:
    samples = steady(10, 300)
    assert samples[0] == [300 - SAMPLE_WINDOW, 2_400]
    assert samples[-1] == [300, 3_000]
    assert len(samples) == SAMPLE_WINDOW + 1


def test_of_one_second_the_last_sample_counts() -> None:
    assert add_sample([[1, 5], [2, 7]], 2, 9) == [[1, 5], [2, 9]]


def test_samples_begin_anew_where_less_is_done_than_before() -> None:
    assert add_sample([[1, 5], [2, 900]], 3, 20) == [[3, 20]]


def test_a_steady_rate_leaves_no_doubt() -> None:
    low, high = eta_bounds(steady(10, 120), 120, 600) or (0, 0)
    assert low == pytest.approx(60)
    assert high == pytest.approx(60)


def test_a_rate_that_varies_leaves_some() -> None:
    samples: Samples = []
    done = 0
    for second in range(61):
        done += 20 if second // 10 % 2 else 2
        samples = add_sample(samples, second, done)
    low, high = eta_bounds(samples, 60, 1_100) or (0, 0)
    assert low < 100 < high
    assert high < 10 * low


def test_what_has_stood_still_for_a_minute_says_nothing_of_the_rest() -> None:
    assert eta_bounds(steady(10, 60), 200, 500) is None
    assert eta_bounds([], 10, 500) is None
    assert eta_bounds(steady(10, 8), 8, 500) is None


def test_clocks_that_differ_leave_samples_in_order_and_never_divide_by_zero() -> None:
    generator = random.Random(1)
    for _ in range(500):
        samples, done, now = list[list[int]](), 0, 1_000_000
        for _ in range(12):
            now += generator.randint(1, 8)
            done += generator.randint(0, 3)
            samples = add_sample(samples, now - generator.choice((0, 90)), done)
        assert samples == sorted(samples)
        low, high = eta_bounds(samples, now - generator.choice((0, 90)), 40) or (0, 0)
        assert 0 <= low <= high
        eta_bounds(generator.sample(samples, len(samples)), now, 40)
