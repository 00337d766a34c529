"""Throughput: rate, ETA and its spread, for the `progress` query and the dashboard alike. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, stdev

ETA_AFTER = 15.0
"""Seconds after which the rate is steady enough for an ETA."""

LONGEST_ETA = 30 * 86_400.0
"""Seconds beyond which no ETA is given: what has come to a standstill would end in 1,500 years."""

SAMPLE_WINDOW = 60
"""Seconds for which samples are kept."""

STRETCH = 5
"""Seconds over which each of the compared rates is measured."""

CONFIDENCE = 2.0
"""Standard errors to each side of the mean: a confidence interval of about 95 %."""

Samples = list[list[int]]
"""Counts over time, oldest first: [[epoch seconds, done], …]."""


def rate_and_eta(done: float, left: float, elapsed: float, *, is_running: bool) -> tuple[float | None, float | None]:
    """Return `done` per second, and the seconds that `left` will take at that rate; None where unknown.

    The rate is known once something is done, the ETA only while running, after ETA_AFTER seconds, up to LONGEST_ETA.
    """
    if elapsed <= 0 or done <= 0:
        return None, None
    eta = left * elapsed / done
    return done / elapsed, eta if is_running and elapsed >= ETA_AFTER and eta <= LONGEST_ETA else None


def add_sample(samples: Samples, second: int, done: int) -> Samples:
    """Return samples with one more, which replaces that of the same second. A lower count starts anew.

    Processes on several hosts write them: a second before the newest sample is that of a slow clock, and taken for it.
    """
    if samples and done < samples[-1][1]:
        return [[second, done]]
    second = max([second, *(at for at, _ in samples)])
    kept = [each for each in samples if each[0] != second]
    recent = [each for each in kept if each[0] > second - SAMPLE_WINDOW]
    before = [each for each in kept if each[0] <= second - SAMPLE_WINDOW][-1:]
    return [*before, *recent, [second, done]]


def eta_bounds(samples: Samples, second: int, left: float) -> tuple[float, float] | None:
    """Return the lowest and highest number of seconds that `left` will probably take; None where unknown.

    From the mean rate of the last minute's stretches and its standard error, if the next minutes are like the last.
    """
    if not samples:
        return None
    samples = sorted(samples)
    second = max(second, samples[-1][0])
    first = max(samples[0][0], second - SAMPLE_WINDOW)
    marks = [_done_at(samples, at) for at in range(first, second + 1, STRETCH)]
    rates = [(after - before) / STRETCH for before, after in pairwise(marks)]
    if len(rates) < 3 or not any(rates):
        return None
    mean, error = fmean(rates), stdev(rates) / len(rates) ** 0.5
    if mean <= 0:
        return None
    slow, fast = max(mean - CONFIDENCE * error, mean / 10), mean + CONFIDENCE * error
    return left / fast, left / slow


def _done_at(samples: Sequence[Sequence[int]], second: int) -> int:
    """Return the count at a second: that of the last sample until then."""
    return next((done for at, done in reversed(samples) if at <= second), samples[0][1])
