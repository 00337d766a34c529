"""Pace: how fast something goes and when it will be done. Pure; the one arithmetic of query and dashboard."""

from __future__ import annotations

ETA_AFTER = 15.0
"""Seconds: before, a rate says too little about the rest."""


def pace(done: float, left: float, elapsed: float, *, is_running: bool) -> tuple[float | None, float | None]:
    """Return `done` per second and the seconds that `left` will take at that rate; None for what is not known.

    The rate is known once something is done, the rest only of what runs and has run for ETA_AFTER.
    """
    if elapsed <= 0 or done <= 0:
        return None, None
    return done / elapsed, left * elapsed / done if is_running and elapsed >= ETA_AFTER else None
