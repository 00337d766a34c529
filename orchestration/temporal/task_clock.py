"""TaskClock: the time by Temporal's clock within a task, whatever the clock of this host says."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from temporalio import activity


class TaskClock:
    """Counts on from the time at which Temporal has started a task.

    Never ahead of Temporal's own clock, and behind it by no more than the task took to arrive: what it says lies
    between the task's start and its end.
    """

    def __init__(self, started_at: datetime) -> None:
        self._started_at, self._arrived = started_at, time.monotonic()

    @classmethod
    def of_activity(cls, began_at: datetime | None) -> TaskClock:
        """Return that of the current activity. A local one has its time from the workflow that calls it, `began_at`."""
        info = activity.info()
        if info.is_local:
            return cls(began_at or datetime.now(UTC))
        return cls(info.started_time)

    def now(self) -> datetime:
        """Return the time."""
        return self._started_at + timedelta(seconds=time.monotonic() - self._arrived)
