"""Limits on how often one person or address may do something, counted in this process."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from dashboard.server.recently_used import RecentlyUsed

KEYS_KEPT = 10_000
"""Whoever has been quiet for the longest is forgotten first."""


class Throttle:
    """At most `limit` events of a key within `seconds`. Safe to call from several threads."""

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.seconds, self._clock = limit, seconds, clock
        self._times = RecentlyUsed[str, deque[float]](KEYS_KEPT)
        self._lock = threading.Lock()

    def take(self, key: str) -> bool:
        """Count an event of a key, and return whether it is within the limit; one beyond it is not counted."""
        with self._lock:
            times, now = self._recent(key), self._clock()
            if len(times) >= self.limit:
                return False
            times.append(now)
            return True

    def retry_after(self, key: str) -> int:
        """Return after how many whole seconds the next event of a key is within the limit, 0 if it is now."""
        with self._lock:
            times = self._recent(key)
            return 0 if len(times) < self.limit else max(1, round(times[0] + self.seconds - self._clock() + 0.5))

    def _recent(self, key: str) -> deque[float]:
        times = self._times.get(key, deque())
        self._times[key] = times
        since = self._clock() - self.seconds
        while times and times[0] <= since:
            times.popleft()
        return times
