"""Outbox: a parent's tree events on their way to the dashboard. A parent never waits for it to be delivered.

Workflow code: deterministic. One `notify` activity is in flight, so that events coalesce by themselves; where little
happens a second one, so that an event that just missed the first need not wait for its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts import (
        DASHBOARD_TASK_QUEUE,
        EVENTS_PER_NOTIFY,
        NOTIFY_ACTIVITY,
        EventKind,
        Failure,
        NotifyInput,
        Place,
        Status,
        TreeEvent,
    )

NOTIFY_TIMEOUT = timedelta(seconds=10)
"""Schedule to close: a dashboard that is away is given up after this."""

NOTIFY_ATTEMPT_TIMEOUT = timedelta(seconds=5)
NOTIFY_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=2))

PAUSE_WHEN_AWAY = timedelta(seconds=10)
"""Between tries while the dashboard is away: three events of history each."""

FAREWELL = timedelta(seconds=5)
"""How long a parent that is about to close waits for its last events."""

FEW_EVENTS = 4
"""A notify of no more than these may have a second one beside it: at saturation each carries many, and is alone."""

CAPACITY = 5_000
"""Undelivered events kept; the oldest go first, and the reconciler finds what they said."""


class Outbox:
    """Collects events and delivers them about in order, at least once, or not at all when nobody is there."""

    def __init__(self, batch_id: str, gather: timedelta = timedelta(0)) -> None:
        """Take the batch, and for how long events are gathered before they are sent: for parents with many children."""
        self._batch_id = batch_id
        self._gather = gather
        self._events: list[TreeEvent] = []
        self._in_flight: list[int] = []
        self._away = False
        self._closing = False
        self._drain: asyncio.Task[None] | None = None

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
        """Deliver what is left, for at most FAREWELL; not at all when the last try failed."""
        self._closing = True
        if self._drain is None or self._away:
            return
        try:
            await workflow.wait_condition(self._drain.done, timeout=FAREWELL)
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
                self._in_flight.append(len(sent))
                asyncio.create_task(self._send(sent))  # noqa: RUF006  the workflow's loop keeps its tasks

    async def _gather_more(self) -> None:
        if self._gather and not self._closing:
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(lambda: self._closing, timeout=self._gather)

    def _may_send(self) -> bool:
        is_quiet = not self._gather and len(self._in_flight) == 1 and self._in_flight[0] <= FEW_EVENTS
        return bool(self._events) and (not self._in_flight or is_quiet)

    def _is_over(self) -> bool:
        return self._closing and not self._events and not self._in_flight

    async def _send(self, events: list[TreeEvent]) -> None:
        if not await self._deliver(events):
            self._away = True
            self._events = [*events, *self._events][-CAPACITY:]
        self._in_flight.remove(len(events))

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
