"""ChunkRunner: how a long-lived workflow runs its chunks, one at a time, each of which may be dropped.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkInput, ChunkResult
    from orchestration.contracts.status import Failure, Status
    from orchestration.engine.chunk_execution import may_follow_loss, run_chunk
    from orchestration.errors.failures import outcome_of


class ChunkRunner:
    """Runs one chunk at a time and returns how it ended. Chunks are told apart by their run ids."""

    def __init__(self, dropped: Iterable[str] = ()) -> None:
        """Take the run ids of chunks that an earlier run of the workflow was asked to drop."""
        self._follows_loss = may_follow_loss()
        self._dropped = set(dropped)
        self._run_id = ""
        self._task: asyncio.Task[ChunkResult] | None = None

    @property
    def run_id(self) -> str:
        """The run id of the chunk that runs; empty while none does."""
        return self._run_id

    def is_dropped(self, chunk: ChunkInput) -> bool:
        """Whether a chunk is not to be run."""
        return chunk.run_id in self._dropped

    def drop(self, run_id: str) -> None:
        """Cancel a chunk, whether it runs or is still to come."""
        self._dropped.add(run_id)
        if self._task is not None and self._run_id == run_id:
            self._task.cancel()

    async def run(self, chunk: ChunkInput) -> tuple[Status, Failure | None]:
        """Run a chunk, unless it was dropped, and return its outcome."""
        if self.is_dropped(chunk):
            return Status.CANCELED, None
        work = run_chunk(chunk, follows_loss=self._follows_loss)
        self._run_id, self._task = chunk.run_id, asyncio.create_task(work)
        if not workflow.unsafe.is_replaying():
            self._follows_loss = False  # only the first chunk that is new to this process may be the lost one
        try:
            await self._task
        except asyncio.CancelledError:
            return Status.CANCELED, None
        except FailureError as error:
            return outcome_of(error)
        finally:
            self._run_id, self._task = "", None
        return Status.COMPLETED, None
