"""Handoff: a chunk that a long-lived workflow processes and reports on. Workflow code: deterministic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkInput
    from orchestration.contracts.long_lived import WorkerReport
    from orchestration.contracts.status import Status


class Handoff:
    """A chunk handed off to a pool worker or an entity: a unit that is awaited like a child workflow."""

    def __init__(self, name: str, chunk: ChunkInput, drop: Callable[[], None]) -> None:
        """Take the id of its row, the chunk, and how to ask the workflow that has it to stop."""
        self.id, self.first_execution_run_id = name, chunk.run_id
        self.chunk = chunk
        self._drop = drop
        self._ended: asyncio.Future[None] = asyncio.Future()

    def __await__(self) -> Generator[Any, None, None]:
        """Return nothing, or raise how the chunk ended."""
        return self._ended.__await__()

    def cancel(self) -> None:
        """Ask the workflow that has it to stop."""
        self._drop()

    def fail(self, error: BaseException) -> None:
        """End it with an error, unless it has ended."""
        if not self._ended.done():
            self._ended.set_exception(error)

    def end(self, report: WorkerReport) -> None:
        """End it as reported, unless it has ended."""
        if report.outcome is Status.COMPLETED:
            if not self._ended.done():
                self._ended.set_result(None)
        elif report.outcome is Status.CANCELED:
            self.fail(asyncio.CancelledError())
        else:
            assert report.failure is not None
            self.fail(ApplicationError(report.failure.message, type=report.failure.type, non_retryable=True))
