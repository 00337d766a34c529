"""Approval: a gate at which a parent waits for a person's decision, for so long. Workflow code: deterministic."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind
    from orchestration.contracts.messages import Decision

NO_DECISION = "Nobody approved in time."


class Report(Protocol):
    """Reports an event of the batch's timeline: kind, sentence, deadline."""

    def __call__(self, kind: EventKind, note: str, until: datetime | None = None) -> None:
        """Report it."""
        ...


class Approvals:
    """The decisions that were made, and how many have been requested."""

    def __init__(self) -> None:
        self._decisions = list[Decision]()
        self._requested = 0

    def decide(self, decision: Decision) -> None:
        """Record a decision. One that was not requested answers the next request."""
        self._decisions.append(decision)

    async def request(self, title: str, limit: timedelta, report: Report) -> Decision | None:
        """Wait for a person's decision; None when there is none in time."""
        position = self._requested
        self._requested += 1
        report(EventKind.GATE_OPENED, title, workflow.now() + limit)
        try:
            await workflow.wait_condition(lambda: len(self._decisions) > position, timeout=limit)
        except TimeoutError:
            report(EventKind.GATE_DECIDED, NO_DECISION)
            self._requested -= 1
            return None
        decision = self._decisions[position]
        report(EventKind.GATE_DECIDED, verdict(decision))
        return decision


def verdict(decision: Decision | None) -> str:
    """Return in a sentence what was decided, and by whom."""
    if decision is None:
        return NO_DECISION
    return f"{'Approved' if decision.approved else 'Rejected'} by {decision.person}."
