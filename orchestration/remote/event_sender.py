"""Sends tree events to a dashboard over HTTP, in batches and without blocking the worker."""

from __future__ import annotations

import logging
import threading
from collections import deque

import httpx

from orchestration.remote.http_client import bearer_client, post, reason_of
from orchestration.remote.wire import EVENTS, EVENTS_PATH, FINAL, WorkflowEvent

log = logging.getLogger(__name__)
EVENTS_PER_CALL = 500
CAPACITY = 10_000
"""Events that are kept at most; the oldest are dropped first."""

DEBOUNCE = 0.2
"""Seconds for which events are collected, to be sent with the first of them."""

TIMEOUT = 5.0
RETRY_PAUSES = (1.0, 2.0, 5.0)
"""Seconds between tries while the dashboard is unreachable."""

CLOSE_TIMEOUT = 2.0
"""Seconds that a worker which stops waits at most for the delivery of its last events."""


class EventSender:
    """Sends events in a thread of its own. `send` never waits, and never raises."""

    def __init__(self, url: str, token: str, *, capacity: int = CAPACITY) -> None:
        self._url, self._token = url, token
        self._pending = deque[WorkflowEvent](maxlen=capacity)
        self._wake, self._closing = threading.Event(), threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def pending(self) -> int:
        """How many events have not been sent yet."""
        return len(self._pending)

    def send(self, event: WorkflowEvent) -> None:
        """Queue an event."""
        self._pending.append(event)
        if not self._is_running:
            self._start()
        self._wake.set()

    @property
    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _start(self) -> None:
        with self._starting:
            if not self._is_running:
                self._closing.clear()
                self._thread = threading.Thread(target=self._run, name="canopy-events", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Send what is left, within CLOSE_TIMEOUT. An event that is sent afterwards starts the thread again."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        failed = 0
        with bearer_client(self._url, self._token, timeout=TIMEOUT) as client:
            while self._pending or not self._closing.is_set():
                self._wake.wait()
                self._wake.clear()
                self._closing.wait(DEBOUNCE)
                while self._pending:
                    if self._post(client):
                        failed = 0
                        continue
                    failed += 1
                    if self._closing.wait(RETRY_PAUSES[min(failed, len(RETRY_PAUSES)) - 1]):
                        return

    def _post(self, client: httpx.Client) -> bool:
        """Send EVENTS_PER_CALL of the queued events, and return whether the dashboard accepted them."""
        events = [self._pending.popleft() for _ in range(min(EVENTS_PER_CALL, len(self._pending)))]
        try:
            answer = post(client, EVENTS_PATH, EVENTS.dump_json(events))
        except httpx.HTTPError as error:
            log.info(
                "Canopy is unreachable (%s): %s events are queued.",
                reason_of(error) if isinstance(error, httpx.TransportError) else type(error).__name__,
                len(events) + len(self._pending),
            )
        else:
            if answer.status_code == 204:
                return True
            log.warning("Canopy does not accept events: %s %s", answer.status_code, answer.text[:200])
            if answer.status_code in FINAL:
                return False  # a retry would be refused as well
        room = (self._pending.maxlen or 0) - len(self._pending)
        self._pending.extendleft(reversed(events[max(0, len(events) - room) :]))
        return False
