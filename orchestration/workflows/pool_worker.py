"""PoolWorkerWorkflow: a worker that stays. It gets chunks by signal, one at a time, and says how each ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkInput, ChunkResult
    from orchestration.contracts.long_lived import PoolWorkerInput, PoolWorkerState, WorkerReport
    from orchestration.contracts.names import WORKER_REPORT_SIGNAL
    from orchestration.contracts.status import Failure, Status
    from orchestration.engine.chunk_execution import run_chunk
    from orchestration.errors.failures import outcome_of


@workflow.defn
class PoolWorkerWorkflow:
    """Process the chunks that the coordinator hands over, and return how many there were.

    Signals: `take` a chunk; `drop` the one at work; `pause`, `resume`; `close` once the hands are free. Query: `state`.
    Continues as new when its history grows long, between two chunks.
    """

    @workflow.init
    def __init__(self, given: PoolWorkerInput) -> None:
        self._given = given
        self._completed, self._failed = given.completed, given.failed
        self._is_paused, self._is_closing = given.is_paused, False
        self._taken: list[ChunkInput] = []
        self._work: asyncio.Task[ChunkResult] | None = None
        self._dropped = set[str]()

    @workflow.run
    async def run(self, given: PoolWorkerInput) -> int:
        """Return the number of chunks that it has processed, in all its runs."""
        while True:
            await workflow.wait_condition(lambda: bool(self._taken) or self._is_closing)
            if self._taken:
                await self._process(self._taken[0])
                del self._taken[0]
            if not self._taken and self._is_closing:
                return self._completed + self._failed
            if not self._taken and workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(
                    replace(given, completed=self._completed, failed=self._failed, is_paused=self._is_paused)
                )

    async def _process(self, chunk: ChunkInput) -> None:
        """Run a chunk and tell the coordinator how it ended; one that came while paused goes back as it is."""
        outcome, failure = Status.COMPLETED, None
        if chunk.run_id in self._dropped:
            await self._tell(chunk, Status.CANCELED)
            return
        if self._is_paused:
            await self._tell(chunk)
            return
        self._work = asyncio.create_task(run_chunk(chunk))
        try:
            await self._work
        except asyncio.CancelledError:
            outcome = Status.CANCELED
        except FailureError as error:
            outcome, failure = outcome_of(error)
        self._work = None
        self._completed += outcome is Status.COMPLETED
        self._failed += outcome is not Status.COMPLETED
        await self._tell(chunk, outcome, failure)

    async def _tell(
        self, chunk: ChunkInput | None = None, outcome: Status | None = None, failure: Failure | None = None
    ) -> None:
        parent = workflow.info().parent
        assert parent is not None
        child, run_id = (chunk.child, chunk.run_id) if chunk is not None else (None, "")
        told = WorkerReport(self._given.number, self._is_paused, child, run_id, outcome, failure)
        try:
            await workflow.get_external_workflow_handle(parent.workflow_id).signal(WORKER_REPORT_SIGNAL, told)
        except ApplicationError:
            workflow.logger.info("The coordinator has closed.")

    @workflow.signal
    def take(self, chunk: ChunkInput) -> None:
        """Process a chunk."""
        self._taken.append(chunk)

    @workflow.signal
    def drop(self, run_id: str) -> None:
        """Stop a chunk, at work or still to come."""
        self._dropped.add(run_id)
        if self._work is not None and self._taken[0].run_id == run_id:
            self._work.cancel()

    @workflow.signal
    async def pause(self) -> None:
        """Take no further chunk; the one at work goes on."""
        await self._set_paused(True)

    @workflow.signal
    async def resume(self) -> None:
        """Take chunks again."""
        await self._set_paused(False)

    async def _set_paused(self, paused: bool) -> None:
        if self._is_paused is not paused:
            self._is_paused = paused
            await self._tell()

    @workflow.signal
    def close(self) -> None:
        """Go home once the hands are free."""
        self._is_closing = True

    @workflow.query
    def state(self) -> PoolWorkerState:
        """Return what it is doing, and what it has done."""
        doing = self._taken[0].child if self._taken else None
        return PoolWorkerState(doing, self._completed, self._failed, self._is_paused)
