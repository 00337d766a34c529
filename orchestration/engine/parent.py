"""Parent: what fan-outs and flows share. An outbox, approvals, a clock, pause and resume.

Workflow code: deterministic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts import events
    from orchestration.contracts.events import TreeEvent
    from orchestration.contracts.names import UNDELIVERED_EVENTS_QUERY
    from orchestration.engine.approval import Approvals
    from orchestration.engine.outbox import Outbox
    from orchestration.engine.run_clock import RunClock


class Parent(ABC):
    """Base of all parents. Signals: `pause`, `resume`. Query: `untold`."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self._approvals = Approvals()
        self._clock = RunClock()

    @workflow.signal
    def pause(self) -> None:
        """Start nothing more; what is open runs to its end."""
        self._set_paused(True)

    @workflow.signal
    def resume(self) -> None:
        """Start what is pending again."""
        self._set_paused(False)

    @abstractmethod
    def _set_paused(self, paused: bool) -> None:
        """Pause or resume, and report it where that is a change."""

    @workflow.query(name=UNDELIVERED_EVENTS_QUERY)
    def undelivered_events(self, first: int = 0) -> list[TreeEvent]:
        """Return UNDELIVERED_PER_QUERY events that the dashboard has not acknowledged, from number `first` on."""
        return self.outbox.undelivered[first : first + events.UNDELIVERED_PER_QUERY]
