"""Windows of a run that come in turn, with faults and without them, and what completed in each kind.

A machine that is slow for a while harms all kinds alike, so that the share of one's rate in another's stays true.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What runs beside the steady batches: nothing, as many batches without a fault, or the faults."""

    QUIET = "quiet"
    TAME = "tame"
    FAULTS = "faults"


SECONDS = {Kind.QUIET: 60.0, Kind.TAME: 60.0, Kind.FAULTS: 240.0}
"""Length of the windows of a round, in their order."""

LEAST_ROUNDS = 2
"""A short run has shorter windows, so that each kind comes at least so often."""


@dataclass(frozen=True)
class Window:
    """From when to when, in seconds of the epoch."""

    kind: Kind
    started: float
    ended: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.ended - self.started


def lengths(seconds: float) -> dict[Kind, float]:
    """Return the seconds of each window of a round, in a run of so many seconds."""
    scale = min(1.0, seconds / LEAST_ROUNDS / sum(SECONDS.values()))
    return {kind: length * scale for kind, length in SECONDS.items()}


def rate(windows: Iterable[Window], completed: Iterable[float]) -> float:
    """Return how many items completed in a second of windows, given when they did; 0 without a window."""
    times, found = sorted(completed), list(windows)
    done = sum(bisect_left(times, window.ended) - bisect_left(times, window.started) for window in found)
    return done / (sum(window.seconds for window in found) or 1.0)


def rates(windows: Sequence[Window], completed: Sequence[float]) -> dict[Kind, float]:
    """Return the rate in each kind of windows."""
    return {kind: rate((window for window in windows if window.kind is kind), completed) for kind in Kind}


def standstills(ends: Iterable[float], completed: Iterable[float]) -> list[float]:
    """Return how long after each end of a process nothing completed."""
    times = sorted(completed)
    found = ((end, bisect_left(times, end)) for end in ends)
    return [times[place] - end for end, place in found if place < len(times)]


def described(seconds: Sequence[float]) -> str:
    """Return median and maximum in words."""
    return f"{statistics.median(seconds):.1f} s in the median, {max(seconds):.1f} s at most" if seconds else "no time"
