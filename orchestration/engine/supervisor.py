"""Supervisor: the kernel that every parent shares. Starts its units in a window, awaits, counts, pauses, retries.

A unit is directly below the parent and identified by an integer: a child, a partition, a rollback. Its source defines
how it is started and what its result means; admission rules hold units back. Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from temporalio import workflow
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind, Place
    from orchestration.contracts.fan_out import BreakerState
    from orchestration.contracts.patches import STOP_ENDS_WAIT
    from orchestration.contracts.status import Counts, Failure, Status
    from orchestration.engine.admission import AdmissionRule, CircuitBreaker
    from orchestration.engine.cancellation import stop_if_canceled
    from orchestration.engine.child_handles import start_when_id_is_free
    from orchestration.engine.node_run import NodeRun
    from orchestration.engine.outbox import Outbox

CIRCUIT_OPEN = "CircuitOpen"
"""Type of the reason of a child that a circuit breaker kept from starting."""


class Unit(Protocol):
    """A unit that has started: awaited for its result, canceled, and known by the id and run that its row shows."""

    @property
    def id(self) -> str:
        """The id that the unit's row has."""
        ...

    @property
    def first_execution_run_id(self) -> str | None:
        """The run that this start has made."""
        ...

    def __await__(self) -> Any:
        """Return the unit's result, or raise how it ended."""
        ...

    def cancel(self) -> Any:
        """Ask it to stop."""
        ...


class Source(Protocol):
    """What a supervisor needs to know of its units. `awaits` is false for fire and forget."""

    awaits: bool

    def name(self, unit: int) -> str:
        """Return the id that a unit's row has."""
        ...

    def place(self, unit: int) -> Place | None:
        """Return where a unit's row belongs if it has none yet."""
        ...

    async def start(self, unit: int) -> Unit:
        """Start a unit. Raises WorkflowAlreadyStartedError."""
        ...

    async def wait_for_id(self, unit: int, tries: int) -> bool:
        """Wait for a unit's id to become free, and return whether it makes sense to try again."""
        ...

    def stop(self, unit: Unit) -> None:
        """Ask an open unit to stop."""
        ...

    def closed(self, unit: int, outcome: Status, result: Any) -> None:
        """Record how a unit ended."""
        ...


class Supervisor:
    """Runs units of a parent, `window` at a time, and keeps the newest outcome of each.

    While it `expects_more` it does not end, although nothing may be open or pending.
    """

    def __init__(
        self,
        units: Iterable[int],
        source: Source,
        *,
        outbox: Outbox,
        window: int,
        paused: bool = False,
        admission: Sequence[AdmissionRule] = (),
    ) -> None:
        self.window = window
        self.paused = paused
        self.held = False
        self.expects_more = False
        self.stop_reason: str | None = None
        self.outcomes: dict[int, Status] = {}
        self.open: dict[int, Unit | None] = {}
        self._queue = deque(units)
        self._queued = set(self._queue)
        self._source = source
        self._admission = admission
        self.outbox = outbox
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_halted(self) -> bool:
        """Whether nothing may start because a person paused the batch, or it is held for one."""
        return self.paused or self.held

    @property
    def breaker(self) -> BreakerState | None:
        """The state of the circuit breaker, if there is one, for the next partition or run."""
        return next((rule.state for rule in self._admission if isinstance(rule, CircuitBreaker)), None)

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
        self.skip_pending()
        for unit in self.open.values():
            if unit is not None:
                self._source.stop(unit)

    def skip_pending(self, reason: str = "") -> None:
        """Skip what is pending. With a reason each unit is reported; without, the end of the parent implies it."""
        for unit in self._queue:
            self.outcomes[unit] = Status.SKIPPED
            if reason:
                self.report_skipped(unit, Failure(CIRCUIT_OPEN, reason))
        self._queue.clear()
        self._queued.clear()

    def skip(self, unit: int) -> None:
        """Count a unit that is not open as skipped; one that is pending is not started."""
        if unit in self._queued:
            self._queue.remove(unit)
            self._queued.discard(unit)
        self.outcomes[unit] = Status.SKIPPED

    def report_skipped(self, unit: int, failure: Failure) -> None:
        """Report why a unit counts as skipped."""
        self.outbox.put(EventKind.SKIPPED, self._source.name(unit), "", failure=failure)

    async def run(self) -> None:
        """Return when no unit is open or pending. Cancellation of the workflow stops and awaits what is open."""
        try:
            stop_if_canceled()
            await self._run()
        except asyncio.CancelledError:
            self.stop("canceled")
            await workflow.wait_condition(lambda: not self.open)
            raise

    async def _run(self) -> None:
        for rule in self._admission:
            rule.begin()
        while True:
            await workflow.wait_condition(lambda: self._may_start() or self._is_idle() or bool(self._skip_reason()))
            if reason := self._skip_reason():
                self.skip_pending(reason)
            if not self._may_start() and self._is_idle():
                return
            while self._may_start():
                unit = self._queue.popleft()
                self._queued.discard(unit)
                self.open[unit] = None
                for rule in self._admission:
                    rule.unit_started()
                task = asyncio.create_task(self._run_unit(unit))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _may_start(self) -> bool:
        has_room = bool(self._queue) and not self.is_halted and len(self.open) < self.window
        return has_room and all(rule.is_open for rule in self._admission)

    def _skip_reason(self) -> str:
        """Return why what is pending has to be skipped; empty where it has not."""
        return next((rule.skip_reason for rule in self._admission if rule.skip_reason), "") if self._queue else ""

    def _is_idle(self) -> bool:
        return not self._queue and not self.open and not self.expects_more

    async def _run_unit(self, unit: int) -> None:
        try:
            outcome, result = await self._start_and_await(unit)
        except (Exception, asyncio.CancelledError):  # not GeneratorExit: an evicted workflow records nothing
            self._closed(unit, Status.FAILED, None)
            raise
        self._closed(unit, outcome, result)

    def _closed(self, unit: int, outcome: Status, result: Any) -> None:
        del self.open[unit]
        self.outcomes[unit] = outcome
        for rule in self._admission:
            rule.unit_closed(outcome)
        self._source.closed(unit, outcome, result)

    async def _start_and_await(self, unit: int) -> tuple[Status, Any]:
        try:
            started = await start_when_id_is_free(partial(self._source.start, unit), partial(self._wait_for_id, unit))
        except WorkflowAlreadyStartedError:  # it completed before, or another batch runs it
            if self.stop_reason is not None:
                return Status.SKIPPED, None
            return self.outcomes.get(unit, Status.COMPLETED), None
        self.open[unit] = started
        run, result = NodeRun(self.outbox), None
        run.started(started.id, started.first_execution_run_id, self._source.place(unit))
        if self.stop_reason is not None:
            self._source.stop(started)
        if self._source.awaits:
            with contextlib.suppress(FailureError, asyncio.CancelledError), run:
                result = await started
        return run.outcome, result

    async def _wait_for_id(self, unit: int, tries: int) -> bool:
        if self.stop_reason is not None or not await self._source.wait_for_id(unit, tries):
            return False
        if (self.is_halted or self.stop_reason is not None) and workflow.patched(STOP_ENDS_WAIT):
            await workflow.wait_condition(lambda: not self.is_halted or self.stop_reason is not None)
            return self.stop_reason is None
        return True
