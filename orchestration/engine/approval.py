"""Approval: a parent that asks a person, for so long, and reports who decided what. Workflow code: deterministic."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind
    from orchestration.contracts.messages import Decision

IN_TIME = "Nobody approved in time."


class Report(Protocol):
    """Where an approval is reported: kind, sentence, deadline."""

    def __call__(self, kind: EventKind, note: str, until: datetime | None = None) -> None:
        """Report a moment."""
        ...


class Approvals:
    """The decisions that have come, and who asks for the next one."""

    def __init__(self) -> None:
        self._decisions = list[Decision]()
        self._asked = 0

    def decide(self, decision: Decision) -> None:
        """Take in a decision. One that nobody asks for answers the next question."""
        self._decisions.append(decision)

    async def ask(self, title: str, limit: timedelta, report: Report) -> Decision | None:
        """Wait for a person's word; None when nobody gave one in time."""
        place = self._asked
        self._asked += 1
        report(EventKind.GATE_OPENED, title, workflow.now() + limit)
        try:
            await workflow.wait_condition(lambda: len(self._decisions) > place, timeout=limit)
        except TimeoutError:
            report(EventKind.GATE_DECIDED, IN_TIME)
            self._asked -= 1
            return None
        decision = self._decisions[place]
        report(EventKind.GATE_DECIDED, verdict(decision))
        return decision


def verdict(decision: Decision | None) -> str:
    """Return in a sentence what was decided, and by whom."""
    if decision is None:
        return IN_TIME
    return f"{'Approved' if decision.approved else 'Refused'} by {decision.person}."
