"""Outbox: the tree events that a parent has still to deliver to the dashboard. A parent never waits for delivery.

One `notify` activity is in flight, so that events coalesce by themselves; where little happens a second one, so that an
event that just missed the first need not wait for its answer. The dashboard queries a closed parent for events that it
could not deliver. Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EVENTS_PER_NOTIFY, EventKind, NotifyInput, Place, TreeEvent
    from orchestration.contracts.names import DASHBOARD_TASK_QUEUE, NOTIFY_ACTIVITY
    from orchestration.contracts.patches import END_STANDS
    from orchestration.contracts.status import Failure, Status
    from orchestration.engine.child_handles import in_background

NOTIFY_TIMEOUT = timedelta(seconds=10)
"""Schedule to close: after this a dashboard counts as unreachable."""

NOTIFY_ATTEMPT_TIMEOUT = timedelta(seconds=5)
NOTIFY_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=2))

PAUSE_WHEN_UNREACHABLE = timedelta(seconds=10)
"""Between tries while the dashboard is unreachable: each try costs three history events."""

CLOSE_TIMEOUT = timedelta(seconds=5)
"""How long a parent that is about to close waits for the delivery of its last events."""

LONG_CLOSE_TIMEOUT = timedelta(seconds=60)
"""The same for a parent whose events cannot be recovered from Temporal: rows of steps."""

FEW_EVENTS = 4
"""A second notify may run beside one of no more events; under load each carries many, and is alone."""

CAPACITY = 5_000
"""Undelivered events kept. The oldest are dropped first; the reconciler finds what they reported."""


class Outbox:
    """Collects events and delivers them roughly in order and at least once, or not at all without a dashboard."""

    def __init__(
        self, batch_id: str, debounce: timedelta = timedelta(0), close_timeout: timedelta = CLOSE_TIMEOUT
    ) -> None:
        """Take the batch, for how long events are collected before they are sent, and for how long `close` waits."""
        self._batch_id = batch_id
        self._debounce = debounce
        self._close_timeout = close_timeout
        self._events: list[TreeEvent] = []
        self._in_flight: list[list[TreeEvent]] = []
        self._is_unreachable = False
        self._closing = False
        self._drain: asyncio.Task[None] | None = None

    @property
    def undelivered(self) -> list[TreeEvent]:
        """The events without an acknowledged delivery, oldest first."""
        return [event for events in (*self._in_flight, self._events) for event in events]

    def open(self) -> None:
        """Start delivering."""
        self._drain = asyncio.create_task(self._deliver_all())

    def put(
        self,
        kind: EventKind,
        workflow_id: str,
        run_id: str,
        *,
        outcome: Status | None = None,
        failure: Failure | None = None,
        window: int | None = None,
        note: str = "",
        until: datetime | None = None,
        place: Place | None = None,
    ) -> None:
        """Add an event, stamped with the workflow's time."""
        event = TreeEvent(kind, workflow_id, run_id, workflow.now(), outcome, failure, window, note, until, place)
        self._events.append(event)
        del self._events[:-CAPACITY]

    async def close(self) -> None:
        """Deliver what is left, for at most the close timeout; nothing when the last try has failed.

        It is too late then for a cancellation: the end that was reported stands.
        """
        self._closing = True
        if self._drain is None or self._is_unreachable:
            return
        if self._drain.done() and self._events and workflow.patched(END_STANDS):
            self.open()  # it was closed before, for another run that was canceled before it began
        try:
            await self._await_drained(self._drain)
        except TimeoutError:
            self._drain.cancel()

    async def _await_drained(self, drain: asyncio.Task[None]) -> None:
        try:
            await workflow.wait_condition(drain.done, timeout=self._close_timeout)
        except asyncio.CancelledError:
            if not workflow.patched(END_STANDS):
                raise
            await workflow.wait_condition(drain.done, timeout=self._close_timeout)

    async def _deliver_all(self) -> None:
        while True:
            await workflow.wait_condition(lambda: self._may_send() or self._is_unreachable or self._is_drained())
            if self._is_drained() or (self._is_unreachable and self._closing):
                return
            if self._is_unreachable:
                await self._pause_unless_closing(PAUSE_WHEN_UNREACHABLE)
                self._is_unreachable = False
            else:
                if self._debounce and not self._closing:
                    await self._pause_unless_closing(self._debounce)
                sent, self._events = self._events[:EVENTS_PER_NOTIFY], self._events[EVENTS_PER_NOTIFY:]
                self._in_flight.append(sent)
                in_background(self._send(sent))

    async def _pause_unless_closing(self, pause: timedelta) -> None:
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._closing, timeout=pause)

    def _may_send(self) -> bool:
        if not self._in_flight:
            return bool(self._events)
        is_quiet = not self._debounce and len(self._in_flight) == 1 and len(self._in_flight[0]) <= FEW_EVENTS
        return is_quiet and bool(self._events) and not self._is_below_what_is_in_flight()

    def _is_below_what_is_in_flight(self) -> bool:
        """Whether a row would be placed below one that may arrive after it: two notifies may overtake each other."""
        placed = {event.workflow_id for events in self._in_flight for event in events if event.place is not None}
        return any(
            event.workflow_id in placed or (event.place and event.place.parent in placed) for event in self._events
        )

    def _is_drained(self) -> bool:
        return self._closing and not self._events and not self._in_flight

    async def _send(self, events: list[TreeEvent]) -> None:
        is_delivered = await self._deliver(events)
        self._in_flight.remove(events)
        if not is_delivered:
            self._is_unreachable = True
            self._events = [*events, *self._events][-CAPACITY:]

    async def _deliver(self, events: list[TreeEvent]) -> bool:
        try:
            await workflow.execute_activity(
                NOTIFY_ACTIVITY,
                NotifyInput(self._batch_id, events),
                task_queue=DASHBOARD_TASK_QUEUE,
                schedule_to_close_timeout=NOTIFY_TIMEOUT,
                start_to_close_timeout=NOTIFY_ATTEMPT_TIMEOUT,
                retry_policy=NOTIFY_RETRY,
                summary=f"{len(events)} events",
            )
        except ActivityError:
            return False
        return True
