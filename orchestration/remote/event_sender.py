"""Sends tree events to a dashboard over HTTP, in batches and without blocking the worker."""

from __future__ import annotations

import logging
import threading
from collections import deque

import httpx

from orchestration.remote.wire import ALL_TOLD, TOLD_PATH, Told

log = logging.getLogger(__name__)
EVENTS_PER_CALL = 500
CAPACITY = 10_000
"""Events that wait at most; the oldest go first."""

TOGETHER = 0.2
"""Seconds that events are waited for, to be told with the first of them."""

TIMEOUT = 5.0
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between tries while the dashboard is away."""

FAREWELL = 2.0
"""Seconds that a worker which stops waits at most for its last events."""


class Teller:
    """Sends events in a thread of its own. `tell` never waits, and never raises."""

    def __init__(self, url: str, token: str, *, capacity: int = CAPACITY) -> None:
        self._url, self._token = f"{url.rstrip('/')}{TOLD_PATH}", token
        self._waiting = deque[Told](maxlen=capacity)
        self._bell, self._over = threading.Event(), threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many events have not been told yet."""
        return len(self._waiting)

    def tell(self, event: Told) -> None:
        """Have an event told soon."""
        self._waiting.append(event)
        if not self._is_running:
            self._start()
        self._bell.set()

    @property
    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start(self) -> None:
        with self._starting:
            if not self._is_running:
                self._over.clear()
                self._thread = threading.Thread(target=self._run, name="canopy-teller", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Tell what is left, if the dashboard takes it at once. What is told afterwards starts it anew."""
        self._over.set()
        self._bell.set()
        if self._thread is not None:
            self._thread.join(FAREWELL)

    def _run(self) -> None:
        failed = 0
        with httpx.Client(
            headers={"Authorization": f"Bearer {self._token}"}, timeout=TIMEOUT, trust_env=False
        ) as client:
            while self._waiting or not self._over.is_set():
                self._bell.wait()
                self._bell.clear()
                self._over.wait(TOGETHER)
                while self._waiting:
                    if self._send(client):
                        failed = 0
                        continue
                    failed += 1
                    if self._over.wait(PAUSES[min(failed, len(PAUSES)) - 1]):
                        return

    def _send(self, client: httpx.Client) -> bool:
        """Send what waits, so many at a time that no call is large, and return whether the dashboard took it."""
        events = [self._waiting.popleft() for _ in range(min(EVENTS_PER_CALL, len(self._waiting)))]
        try:
            answer = client.post(
                self._url, content=ALL_TOLD.dump_json(events), headers={"Content-Type": "application/json"}
            )
        except httpx.HTTPError as error:
            log.info("Canopy is away (%s): %s events wait.", type(error).__name__, len(events) + len(self._waiting))
        else:
            if answer.is_success:
                return True
            log.warning("Canopy does not take events: %s %s", answer.status_code, answer.text[:200])
            if answer.is_client_error:
                return False  # nor would it take them another time
        room = (self._waiting.maxlen or 0) - len(self._waiting)
        self._waiting.extendleft(reversed(events[max(0, len(events) - room) :]))
        return False
