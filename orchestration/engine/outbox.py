"""Outbox: a parent's tree events on their way to the dashboard. A parent never waits for it to be delivered.

One `notify` activity is in flight, so that events coalesce by themselves; where little happens a second one, so that an
event that just missed the first need not wait for its answer. What could not be delivered before the parent closed, the
dashboard asks it for. Workflow code: deterministic.
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
    from orchestration.contracts.status import Failure, Status

NOTIFY_TIMEOUT = timedelta(seconds=10)
"""Schedule to close: a dashboard that is away is given up after this."""

NOTIFY_ATTEMPT_TIMEOUT = timedelta(seconds=5)
NOTIFY_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=2))

PAUSE_WHEN_AWAY = timedelta(seconds=10)
"""Between tries while the dashboard is away: three events of history each."""

FAREWELL = timedelta(seconds=5)
"""How long a parent that is about to close waits for its last events."""

LONG_FAREWELL = timedelta(seconds=60)
"""The same of a parent of which the dashboard knows more than Temporal tells: rows of steps."""

FEW_EVENTS = 4
"""A notify of no more than these may have a second one beside it: at saturation each carries many, and is alone."""

CAPACITY = 5_000
"""Undelivered events kept; the oldest go first, and the reconciler finds what they said."""


class Outbox:
    """Collects events and delivers them about in order, at least once, or not at all when nobody is there."""

    def __init__(self, batch_id: str, gather: timedelta = timedelta(0), farewell: timedelta = FAREWELL) -> None:
        """Take the batch, for how long events are gathered before they are sent, and for how long `close` waits."""
        self._batch_id = batch_id
        self._gather = gather
        self._farewell = farewell
        self._events: list[TreeEvent] = []
        self._in_flight: list[list[TreeEvent]] = []
        self._away = False
        self._closing = False
        self._drain: asyncio.Task[None] | None = None

    @property
    def untold(self) -> list[TreeEvent]:
        """What is not known to be delivered, oldest first."""
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
        """Deliver what is left, for at most the farewell; not at all when the last try failed."""
        self._closing = True
        if self._drain is None or self._away:
            return
        try:
            await workflow.wait_condition(self._drain.done, timeout=self._farewell)
        except TimeoutError:
            self._drain.cancel()

    async def _deliver_all(self) -> None:
        while True:
            await workflow.wait_condition(lambda: self._may_send() or self._away or self._is_over())
            if self._is_over() or (self._away and self._closing):
                return
            if self._away:
                await self._wait_while_away()
                self._away = False
            else:
                await self._gather_more()
                sent, self._events = self._events[:EVENTS_PER_NOTIFY], self._events[EVENTS_PER_NOTIFY:]
                self._in_flight.append(sent)
                asyncio.create_task(self._send(sent))  # noqa: RUF006  the workflow's loop keeps its tasks

    async def _gather_more(self) -> None:
        if self._gather and not self._closing:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(lambda: self._closing, timeout=self._gather)

    def _may_send(self) -> bool:
        if not self._in_flight:
            return bool(self._events)
        is_quiet = not self._gather and len(self._in_flight) == 1 and len(self._in_flight[0]) <= FEW_EVENTS
        return is_quiet and bool(self._events) and not self._is_below_what_is_in_flight()

    def _is_below_what_is_in_flight(self) -> bool:
        """Whether a row would be placed below one that may arrive after it: two notifies may overtake each other."""
        placed = {event.workflow_id for events in self._in_flight for event in events if event.place is not None}
        return any(
            event.workflow_id in placed or (event.place and event.place.parent in placed) for event in self._events
        )

    def _is_over(self) -> bool:
        return self._closing and not self._events and not self._in_flight

    async def _send(self, events: list[TreeEvent]) -> None:
        is_told = await self._deliver(events)
        self._in_flight.remove(events)
        if not is_told:
            self._away = True
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

    async def _wait_while_away(self) -> None:
        try:
            await workflow.wait_condition(lambda: self._closing, timeout=PAUSE_WHEN_AWAY)
        except TimeoutError:
            return
