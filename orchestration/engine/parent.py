"""Parent: what fan-outs and flows share. An outbox, approvals, a clock, pause and resume.

Workflow code: deterministic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts import events
    from orchestration.contracts.events import TreeEvent
    from orchestration.contracts.messages import ChildrenAnswer, ChildrenCommand, ChildrenRequest
    from orchestration.contracts.names import ANSWER_QUERY, ASK_SIGNAL, UNDELIVERED_EVENTS_QUERY
    from orchestration.engine.approval import Approvals
    from orchestration.engine.outbox import Outbox
    from orchestration.engine.run_clock import RunClock


ANSWERS_KEPT = 50
"""Answers to requests by signal that a parent remembers."""

ChildrenUpdate = tuple[Callable[[ChildrenRequest], None], Callable[[ChildrenRequest], ChildrenAnswer]]
"""The validator of an update about children, and its handler."""


class Parent(ABC):
    """Base of all parents. Signals: `pause`, `resume`, `ask`. Queries: `untold`, `answer`."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self._approvals = Approvals()
        self._clock = RunClock()
        self._answers = dict[str, ChildrenAnswer]()

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

    def children_updates(self) -> Mapping[str, ChildrenUpdate]:
        """Return the updates about children, by name."""
        return {}

    @workflow.signal(name=ASK_SIGNAL)
    def ask(self, command: ChildrenCommand) -> None:
        """Do what an update does, once for the id of the command: a run takes 2,000 updates, and more signals."""
        if command.id in self._answers:
            return
        request = command.request
        validate, do = self.children_updates()[command.update]
        try:
            validate(request)
            answer = do(request)
        except ApplicationError as error:
            answer = ChildrenAnswer(refused=dict.fromkeys(request.children, error.message))
        self._answers[command.id] = answer
        while len(self._answers) > ANSWERS_KEPT:
            del self._answers[next(iter(self._answers))]

    @workflow.query(name=ANSWER_QUERY)
    def answer(self, command_id: str) -> ChildrenAnswer | None:
        """Return the answer to a command that came by signal, or None where none did."""
        return self._answers.get(command_id)
