"""Supervisor: the kernel that every parent shares. Starts its units in a window, awaits, counts, pauses, retries.

A unit is a direct child workflow of the parent, known by an integer: a child or a partition. What starting one means,
and what its result says, the parent hands in; when to stop early is a limit. Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.exceptions import (
    TimeoutError as TemporalTimeoutError,
)
from temporalio.workflow import ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts import Counts, EventKind, Failure, Status
    from orchestration.outbox import Outbox

MESSAGE_LIMIT = 500
"""Characters of a failure's message that travel in an event."""

ID_TAKEN_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 4, 8))
"""A child of a terminated parent may still be closing when it is to start again."""

Start = Callable[[int], Awaitable[ChildWorkflowHandle[Any, Any]]]
Closed = Callable[[int, Status, Any], None]


class Supervisor:
    """Runs units of a parent, `window` at a time, and knows the newest outcome of each."""

    def __init__(
        self,
        units: Iterable[int],
        *,
        start: Start,
        outbox: Outbox,
        window: int,
        paused: bool = False,
        closed: Closed | None = None,
    ) -> None:
        self.window = window
        self.paused = paused
        self.stop_reason: str | None = None
        self.outcomes: dict[int, Status] = {}
        self.open: dict[int, ChildWorkflowHandle[Any, Any] | None] = {}
        self._queue = deque(units)
        self._queued = set(self._queue)
        self._start = start
        self._closed = closed or (lambda unit, outcome, result: None)
        self._outbox = outbox
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pending(self) -> int:
        """Units that wait for a place in the window."""
        return len(self._queue)

    def is_queued(self, unit: int) -> bool:
        """Whether a unit waits for a place in the window."""
        return unit in self._queued

    @property
    def counts(self) -> Counts:
        """Units by newest outcome."""
        counts = Counts()
        for outcome in self.outcomes.values():
            counts.add(outcome)
        return counts

    def enqueue(self, unit: int) -> None:
        """Run a unit (again) when there is a place in the window."""
        self.outcomes.pop(unit, None)
        self._queue.append(unit)
        self._queued.add(unit)

    def stop(self, reason: str) -> None:
        """Start nothing more, skip what is pending, cancel what is open."""
        if self.stop_reason is not None:
            return
        self.stop_reason = reason
        for unit in self._queue:
            self.outcomes[unit] = Status.SKIPPED
        self._queue.clear()
        self._queued.clear()
        for handle in self.open.values():
            if handle is not None:
                handle.cancel()

    async def run(self) -> None:
        """Return when no unit is open or pending. Cancellation of the workflow stops and awaits what is open."""
        try:
            await self._run()
        except asyncio.CancelledError:
            self.stop("canceled")
            await workflow.wait_condition(lambda: not self.open)
            raise

    async def _run(self) -> None:
        while True:
            await workflow.wait_condition(lambda: self._may_start() or self._is_idle())
            if not self._may_start():
                return
            while self._may_start():
                unit = self._queue.popleft()
                self._queued.discard(unit)
                self.open[unit] = None
                task = asyncio.create_task(self._run_unit(unit))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _may_start(self) -> bool:
        return bool(self._queue) and not self.paused and len(self.open) < self.window

    def _is_idle(self) -> bool:
        return not self._queue and not self.open

    async def _run_unit(self, unit: int) -> None:
        outcome, result = Status.FAILED, None
        try:
            outcome, result = await self._start_and_await(unit)
        finally:
            del self.open[unit]
            self.outcomes[unit] = outcome
            self._closed(unit, outcome, result)

    async def _start_and_await(self, unit: int) -> tuple[Status, Any]:
        handle = await self._start_when_id_is_free(unit)
        if handle is None:
            return Status.COMPLETED, None
        self.open[unit] = handle
        run_id = handle.first_execution_run_id or ""
        self._outbox.put(EventKind.STARTED, handle.id, run_id)
        if self.stop_reason is not None:
            handle.cancel()
        outcome, failure, result = Status.COMPLETED, None, None
        try:
            result = await handle
        except ChildWorkflowError as error:
            outcome, failure = outcome_of(error)
        except asyncio.CancelledError:
            outcome = Status.CANCELED
        self._outbox.put(EventKind.CLOSED, handle.id, run_id, outcome=outcome, failure=failure)
        return outcome, result

    async def _start_when_id_is_free(self, unit: int) -> ChildWorkflowHandle[Any, Any] | None:
        """Start a unit, or return None when it had completed before and so may not run again."""
        for pause in (*ID_TAKEN_PAUSES, None):
            try:
                return await self._start(unit)
            except WorkflowAlreadyStartedError:
                if pause is None or self.stop_reason is not None:
                    break
                await workflow.sleep(pause)
        return None


def outcome_of(error: ChildWorkflowError) -> tuple[Status, Failure]:
    """Tell how a child ended, and why in words for a person."""
    cause: BaseException | None = error.cause
    outcome = Status.FAILED
    if isinstance(cause, CancelledError):
        outcome = Status.CANCELED
    elif isinstance(cause, TerminatedError):
        outcome = Status.TERMINATED
    elif isinstance(cause, TemporalTimeoutError):
        outcome = Status.TIMED_OUT
    return outcome, failure_of(cause or error)


def failure_of(error: BaseException) -> Failure:
    """Return the innermost reason of an error: Temporal wraps a failure once for each level it passes."""
    while isinstance(error, ActivityError | ChildWorkflowError) and error.cause is not None:
        error = error.cause
    message = getattr(error, "message", None) or str(error)
    if isinstance(error, ApplicationError):
        return Failure(error.type or "ApplicationError", message[:MESSAGE_LIMIT])
    if isinstance(error, TemporalTimeoutError):
        kind = error.type.name.lower().replace("_", " ") if error.type is not None else "execution"
        return Failure("Timeout", f"Timed out ({kind}).")
    if isinstance(error, TerminatedError):
        return Failure("Terminated", message[:MESSAGE_LIMIT] or "Terminated.")
    if isinstance(error, CancelledError):
        return Failure("Canceled", "Canceled.")
    return Failure(type(error).__name__, message[:MESSAGE_LIMIT])
