"""Admission: rules that keep a supervisor from starting units although the window has room.

Groups, and the circuit breaker. Workflow code: deterministic.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind
    from orchestration.contracts.fan_out import BreakerState
    from orchestration.contracts.status import Status
    from orchestration.engine.child_handles import in_background
    from orchestration.plan.choices import WhileOpen
    from orchestration.plan.plan import Plan

Report = Callable[[EventKind, str], None]


class AdmissionRule(Protocol):
    """A rule that may hold units back: checked before each start, and notified of every start and end."""

    @property
    def is_open(self) -> bool:
        """Whether a unit may start now."""
        ...

    @property
    def skip_reason(self) -> str:
        """Why what is pending is to be skipped rather than kept waiting; empty otherwise."""
        ...

    def begin(self) -> None:
        """Resume from the state that the rule was made with, as the supervisor begins to run."""
        ...

    def unit_started(self) -> None:
        """Record that a unit starts."""
        ...

    def unit_closed(self, outcome: Status) -> None:
        """Record that a unit closed."""
        ...


def admission_rules(plan: Plan, report: Report, breaker: BreakerState | None) -> list[AdmissionRule]:
    """Return the rules that a plan asks for; `breaker` is the state with which the previous partition closed."""
    rules = list[AdmissionRule]()
    if plan.group_size is not None:
        rules.append(Groups(plan.group_size, timedelta(seconds=plan.group_delay)))
    if plan.breaker_failures is not None:
        rules.append(CircuitBreaker(plan, report, breaker or BreakerState()))
    return rules


class Groups:
    """Lets `size` units through, waits until all have closed, and for `pause`, before the next."""

    skip_reason = ""

    def __init__(self, size: int, pause: timedelta) -> None:
        self._size, self._pause = size, pause
        self._left, self._running = size, 0

    @property
    def is_open(self) -> bool:
        """Whether this group has units left to start."""
        return self._left > 0

    def begin(self) -> None:
        """Do nothing: every parent begins with a full group."""

    def unit_started(self) -> None:
        """Count a start."""
        self._left -= 1
        self._running += 1

    def unit_closed(self, outcome: Status) -> None:
        """Count an end; the last one of a group lets the next group come."""
        self._running -= 1
        if not self._left and not self._running:
            in_background(self._renew())

    async def _renew(self) -> None:
        if self._pause:
            await workflow.sleep(self._pause)
        self._left = self._size


class CircuitBreaker:
    """Opens after failures in a row; after a cool-down one unit probes, and its success closes it again."""

    def __init__(self, plan: Plan, report: Report, before: BreakerState) -> None:
        assert plan.breaker_failures is not None
        self._limit = plan.breaker_failures
        self._cooldown = timedelta(seconds=plan.breaker_cooldown)
        self._skips = plan.breaker_open is WhileOpen.SKIP
        self._report = report
        self._in_a_row = before.in_a_row
        self._open_until = before.open_until
        self._is_probing = False
        self._probe_runs = False

    @property
    def state(self) -> BreakerState:
        """The state with which the next partition begins."""
        return BreakerState(self._in_a_row, self._open_until)

    @property
    def is_open(self) -> bool:
        """Whether a unit may start: not while the breaker is open, and only one as a probe."""
        return self._open_until is None and not (self._is_probing and self._probe_runs)

    @property
    def skip_reason(self) -> str:
        """That the breaker is open, where the plan has units skipped meanwhile."""
        if self._open_until is None or not self._skips:
            return ""
        return f"The circuit breaker is open: {self._in_a_row:,} children failed in a row."

    def begin(self) -> None:
        """Cool down where the previous partition has left it open."""
        if self._open_until is not None:
            self._cool_down(max(self._open_until - workflow.now(), timedelta(0)))

    def unit_started(self) -> None:
        """A unit that starts after the cool-down is the probe."""
        self._probe_runs = self._is_probing

    def unit_closed(self, outcome: Status) -> None:
        """Open after too many failures in a row or a failed probe; close after a success. Cancellations do not count.

        Nor do units that were open when the breaker opened.
        """
        if outcome in (Status.CANCELED, Status.SKIPPED) or self._open_until is not None:
            self._probe_runs = False
            return
        if outcome is Status.COMPLETED:
            if self._is_probing:
                self._report(EventKind.BREAKER_CLOSED, "A probe completed.")
            self._in_a_row, self._is_probing, self._probe_runs = 0, False, False
            return
        self._in_a_row += 1
        if self._is_probing or self._in_a_row >= self._limit:
            self._open()

    def _open(self) -> None:
        self._is_probing = self._probe_runs = False
        self._open_until = workflow.now() + self._cooldown
        self._report(EventKind.BREAKER_OPENED, f"{self._in_a_row:,} children failed in a row.")
        self._cool_down(self._cooldown)

    def _cool_down(self, pause: timedelta) -> None:
        in_background(self._half_open_after(pause))

    async def _half_open_after(self, pause: timedelta) -> None:
        await workflow.sleep(pause)
        self._open_until, self._is_probing = None, True
        self._report(EventKind.BREAKER_HALF_OPEN, "One child probes.")
