"""NodeRun: one run of a node of the tree, reported when it starts and when it ends.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind, Place
    from orchestration.contracts.status import Failure, Status
    from orchestration.definitions.expressions import Missing
    from orchestration.engine.outbox import Outbox
    from orchestration.errors.failures import failure_of, outcome_of


class NodeRun:
    """A context manager around what runs as a node: it reports the end, with the outcome of what the block raises.

    The block calls `started` once it has the node's ids; without that nothing is reported. `note` is what the node's
    row shows of the result. Exceptions pass through.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.outcome = Status.COMPLETED
        self.note = ""
        self._failure: Failure | None = None
        self._outbox = outbox
        self._ids: tuple[str, str] | None = None

    def started(self, node: str, run_id: str | None, place: Place | None = None) -> None:
        """Report the start of a run of a node (`node` is its workflow id), and its place where it has no row yet."""
        self._ids = node, run_id or ""
        self._outbox.put(EventKind.STARTED, *self._ids, place=place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.outcome = Status.CANCELED
        elif isinstance(error, FailureError):
            self.outcome, self._failure = outcome_of(error)
        elif isinstance(error, Missing):
            self.outcome, self._failure = Status.FAILED, failure_of(error)
        is_evicted = error is not None and not isinstance(error, Exception | asyncio.CancelledError)
        if self._ids is not None and not is_evicted:
            self._outbox.put(EventKind.CLOSED, *self._ids, outcome=self.outcome, failure=self._failure, note=self.note)
