"""PoolWorkerWorkflow: a long-lived worker. It gets chunks by signal, one at a time, and reports how each ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkInput
    from orchestration.contracts.long_lived import PoolWorkerInput, PoolWorkerState, WorkerReport
    from orchestration.contracts.names import ASSIGN_CHUNK_SIGNAL, WORKER_REPORT_SIGNAL
    from orchestration.contracts.status import Failure, Status
    from orchestration.engine.cancellation import hears_cancel, to_its_end
    from orchestration.engine.child_handles import signal_if_open
    from orchestration.engine.chunk_runner import ChunkRunner


@workflow.defn
class PoolWorkerWorkflow:
    """Process the chunks that the parent assigns, and return how many there were.

    Signals: `take` a chunk; `drop` one; `pause`, `resume`; `close` after the chunks it has. Query: `state`.
    Continues as new when its history grows long, between two chunks. Canceled itself, it cancels its chunks, and ends
    canceled.
    """

    @workflow.init
    def __init__(self, given: PoolWorkerInput) -> None:
        self._given = given
        self._completed, self._failed = given.completed, given.failed
        self._is_paused, self._is_closing = given.is_paused, False
        self._assigned: list[ChunkInput] = []
        self._runner = ChunkRunner()

    @workflow.run
    async def run(self, given: PoolWorkerInput) -> int:
        """Return the number of chunks that it has processed, in all its runs."""
        while True:
            await workflow.wait_condition(lambda: bool(self._assigned) or self._is_closing)
            if self._assigned:
                await self._process(self._assigned[0])
                del self._assigned[0]
            if hears_cancel():
                await self._cancel_assigned()
            if not self._assigned and self._is_closing:
                return self._completed + self._failed
            if not self._assigned and workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(
                    replace(given, completed=self._completed, failed=self._failed, is_paused=self._is_paused)
                )

    async def _cancel_assigned(self) -> None:
        """Report what was assigned as canceled. Raises asyncio.CancelledError."""
        for chunk in self._assigned:
            await self._report(chunk, Status.CANCELED)
        raise asyncio.CancelledError

    async def _process(self, chunk: ChunkInput) -> None:
        """Run a chunk and report how it ended; one that was assigned while paused is returned unprocessed."""
        if self._runner.is_dropped(chunk):
            await self._report(chunk, Status.CANCELED)
            return
        if self._is_paused:
            await self._report(chunk)
            return
        outcome, failure = await self._runner.run(chunk)
        self._is_paused |= hears_cancel()  # so that it is given no other chunk
        self._completed += outcome is Status.COMPLETED
        self._failed += outcome is not Status.COMPLETED
        await self._report(chunk, outcome, failure)

    async def _report(
        self, chunk: ChunkInput | None = None, outcome: Status | None = None, failure: Failure | None = None
    ) -> None:
        parent = workflow.info().parent
        assert parent is not None
        child, run_id = (chunk.child, chunk.run_id) if chunk is not None else (None, "")
        report = WorkerReport(self._given.number, self._is_paused, child, run_id, outcome, failure)
        above = workflow.get_external_workflow_handle(parent.workflow_id)
        await to_its_end(signal_if_open(above, WORKER_REPORT_SIGNAL, report))

    @workflow.signal(name=ASSIGN_CHUNK_SIGNAL)
    def assign(self, chunk: ChunkInput) -> None:
        """Process a chunk."""
        self._assigned.append(chunk)

    @workflow.signal
    def drop(self, run_id: str) -> None:
        """Cancel a chunk, whether it runs or waits."""
        self._runner.drop(run_id)

    @workflow.signal
    async def pause(self) -> None:
        """Process no further chunk; the one that runs is finished."""
        await self._set_paused(True)

    @workflow.signal
    async def resume(self) -> None:
        """Process chunks again."""
        await self._set_paused(False)

    async def _set_paused(self, paused: bool) -> None:
        if self._is_paused is not paused:
            self._is_paused = paused
            await self._report()

    @workflow.signal
    def close(self) -> None:
        """End after the chunks that are assigned."""
        self._is_closing = True

    @workflow.query
    def state(self) -> PoolWorkerState:
        """Return which child it processes, and how many it has."""
        doing = self._assigned[0].child if self._assigned else None
        return PoolWorkerState(doing, self._completed, self._failed, self._is_paused)
