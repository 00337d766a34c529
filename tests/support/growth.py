"""Growth: how much longer something takes for eight times as much."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

TIMES_AS_MUCH = 8
MOST = 20
"""Times as long as eight times as much may take: in proportion it would be 8, with its square 64."""

FLOOR = 0.02
"""Seconds that count as nothing."""

TRIES = 3


def seconds_for(run: Callable[[Any], object], given: Any) -> float:
    """Return the CPU time of a call, which other processes do not add to."""
    began = time.process_time()
    run(given)
    return time.process_time() - began


def check_growth(make: Callable[[int], Any], run: Callable[[Any], object], size: int) -> None:
    """Fail where `run` takes more than in proportion to what `make` makes of a size. The best of some tries counts."""
    small, large = make(size), make(TIMES_AS_MUCH * size)
    ratios = list[float]()
    for _ in range(TRIES):
        shorter = max(FLOOR, seconds_for(run, small))
        ratios.append(seconds_for(run, large) / shorter)
        if ratios[-1] < MOST:
            return
    raise AssertionError(f"{TIMES_AS_MUCH} times as much takes {min(ratios):.0f} times as long.")
