"""RunClock: when a parent's run opened and closed, for the rate and the ETA of its progress.

Workflow code: deterministic.
"""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.status import RunStatus, Status
    from orchestration.throughput import rate_and_eta


class RunClock:
    """Starts with the run; the time at which the run closes is the last that counts."""

    def __init__(self) -> None:
        self._opened_at = workflow.now()
        self._closed: tuple[RunStatus, datetime] | None = None

    def close(self, outcome: Status) -> None:
        """Record how and when the run ended."""
        self._closed = RunStatus(outcome.value), workflow.now()

    def pace(
        self, done: float, left: float, open_as: RunStatus, *, is_planned: bool = True
    ) -> tuple[RunStatus, float | None, float | None]:
        """Return the status (`open_as` until the run closes), `done` per second, and the seconds that `left` will take.

        There is no ETA unless the run goes on and what is left `is_planned`.
        """
        status, until = self._closed or (open_as, workflow.now())
        elapsed = (until - self._opened_at).total_seconds()
        return status, *rate_and_eta(done, left, elapsed, is_running=status is RunStatus.RUNNING and is_planned)
