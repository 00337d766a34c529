"""Handed: a chunk in somebody else's hands, who tells how it ended. Workflow code: deterministic."""

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


class Handed:
    """A unit that is awaited like a child workflow."""

    def __init__(self, name: str, chunk: ChunkInput, drop: Callable[[], None]) -> None:
        """Take the id of its row, the chunk, and how to ask whoever has it to stop."""
        self.id, self.first_execution_run_id = name, chunk.run_id
        self.chunk = chunk
        self._drop = drop
        self._ended: asyncio.Future[None] = asyncio.Future()

    def __await__(self) -> Generator[Any, None, None]:
        """Return nothing, or raise how the chunk ended."""
        return self._ended.__await__()

    def cancel(self) -> None:
        """Ask whoever has it to stop."""
        self._drop()

    def fail(self, error: BaseException) -> None:
        """End it with an error, unless it has ended."""
        if not self._ended.done():
            self._ended.set_exception(error)

    def end(self, told: WorkerReport) -> None:
        """End it as it was told, unless it has ended."""
        if told.outcome is Status.COMPLETED:
            if not self._ended.done():
                self._ended.set_result(None)
        elif told.outcome is Status.CANCELED:
            self.fail(asyncio.CancelledError())
        else:
            assert told.failure is not None
            self.fail(ApplicationError(told.failure.message, type=told.failure.type, non_retryable=True))
