"""TaskClock: the time by Temporal's clock within a task, whatever the clock of this host says."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from temporalio import activity

WINDOW = 300.0
"""Seconds for which the quickest task counts at least, and twice as long at most: clocks drift."""

FEW = 20
"""Tasks before which the quickest may have been slow: until then a difference that a delay explains is one."""

DELAY = timedelta(seconds=2)
"""The longest time between a start that Temporal notes and the task's arrival that is taken for a delay at first."""

LONGEST_DELAY = timedelta(seconds=30)
"""A longer one is none: a clock was set, or time is skipped in a test."""


class HostClock:
    """The difference between this process's clock, which nobody sets, and Temporal's, as its tasks show it.

    A task arrives after Temporal has noted its start, so that each shows the difference and its own delay. The least of
    them is the closest.
    """

    def __init__(self) -> None:
        self._begun = datetime.now(UTC) - timedelta(seconds=time.monotonic())
        self._least = self._least_before = timedelta.max
        self._since, self._seen = time.monotonic(), 0

    def observe(self, started_at: datetime) -> None:
        """Take note that a task has arrived whose start Temporal has noted."""
        if time.monotonic() > self._since + WINDOW:
            self._least_before, self._least, self._since = self._least, timedelta.max, time.monotonic()
        self._least = min(self._least, self._now() - started_at)
        self._seen += 1

    def now(self) -> datetime:
        """Return Temporal's time. Observe one task before."""
        ahead = min(self._least, self._least_before)
        if self._seen < FEW and timedelta(0) <= ahead < DELAY:
            return self._now()
        return self._now() - ahead

    def _now(self) -> datetime:
        return self._begun + timedelta(seconds=time.monotonic())


class TaskClock:
    """Counts on from the time at which Temporal has started a task, with the task's delay as the host's clock shows it.

    Never behind what this task alone shows.
    """

    host = HostClock()

    def __init__(self, started_at: datetime) -> None:
        self._started_at, self._arrived = started_at, time.monotonic()
        self.host.observe(started_at)

    @classmethod
    def of_activity(cls, began_at: datetime | None) -> TaskClock:
        """Return that of the current activity. A local one has its time from the workflow that calls it, `began_at`."""
        info = activity.info()
        if info.is_local:
            return cls(began_at or datetime.now(UTC))
        return cls(info.started_time)

    def now(self) -> datetime:
        """Return the time."""
        own = self._started_at + timedelta(seconds=time.monotonic() - self._arrived)
        by_host = self.host.now()
        return by_host if own <= by_host <= own + LONGEST_DELAY else own
