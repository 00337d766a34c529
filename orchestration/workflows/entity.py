"""EntityWorkflow: an account or a device that stays. It takes operations by signal and does them one after another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkResult
    from orchestration.contracts.long_lived import EntityInput, EntityOperation, EntityState, WorkerReport
    from orchestration.contracts.names import WORKER_REPORT_SIGNAL
    from orchestration.contracts.status import Failure, Status
    from orchestration.engine.chunk_execution import run_chunk
    from orchestration.errors.failures import outcome_of

RECENT = 200
"""Operations remembered after they were done: one that is submitted twice comes twice within moments."""


@workflow.defn
class EntityWorkflow:
    """Do operations in the order in which they came, whichever batch they are of, and return how many there were.

    Signals: `submit` an operation; `drop` one; `close` once nothing waits. Query: `state`. Continues as new after some
    operations, with what waits; shuts down when nothing has come for a while.
    """

    @workflow.init
    def __init__(self, given: EntityInput) -> None:
        self._given = given
        self._waiting = list(given.waiting)
        self._recent = list(given.recent)
        self._done = given.done
        self._dropped = set[str]()
        self._work: asyncio.Task[ChunkResult] | None = None
        self._is_closing = False

    @workflow.run
    async def run(self, given: EntityInput) -> int:
        """Return the number of operations that it has done, in all its runs."""
        while True:
            try:
                await workflow.wait_condition(
                    lambda: bool(self._waiting) or self._is_closing, timeout=timedelta(seconds=given.idle)
                )
            except TimeoutError:
                return self._done
            if not self._waiting:
                return self._done
            await self._do(self._waiting[0])
            is_long = self._done - given.done >= given.continue_after or workflow.info().is_continue_as_new_suggested()
            if is_long and not self._is_closing:
                going_on = replace(given, done=self._done, waiting=self._waiting, recent=self._recent)
                workflow.continue_as_new(going_on)

    async def _do(self, operation: EntityOperation) -> None:
        """Do one operation, and tell whoever submitted it how it ended."""
        outcome, failure = Status.COMPLETED, None
        try:
            if operation.chunk.run_id in self._dropped:
                raise asyncio.CancelledError
            self._work = asyncio.create_task(run_chunk(operation.chunk))
            await self._work
        except asyncio.CancelledError:
            outcome = Status.CANCELED
        except FailureError as error:
            outcome, failure = outcome_of(error)
        self._work = None
        self._done += 1
        self._waiting.remove(operation)
        self._recent = [*self._recent, operation.chunk.run_id][-RECENT:]
        await self._tell(operation, outcome, failure)

    async def _tell(self, operation: EntityOperation, outcome: Status, failure: Failure | None) -> None:
        told = WorkerReport(0, False, operation.chunk.child, operation.chunk.run_id, outcome, failure)
        try:
            await workflow.get_external_workflow_handle(operation.reply_to).signal(WORKER_REPORT_SIGNAL, told)
        except ApplicationError:
            workflow.logger.info("%s has closed.", operation.reply_to)

    @workflow.signal
    def submit(self, operation: EntityOperation) -> None:
        """Do an operation after those that wait; one that came before is not done again."""
        known = {each.chunk.run_id for each in self._waiting} | set(self._recent)
        if operation.chunk.run_id not in known:
            self._waiting.append(operation)

    @workflow.signal
    def drop(self, run_id: str) -> None:
        """Stop an operation, at work or waiting."""
        self._dropped.add(run_id)
        if self._work is not None and self._waiting[0].chunk.run_id == run_id:
            self._work.cancel()

    @workflow.signal
    def close(self) -> None:
        """Shut down once nothing waits."""
        self._is_closing = True

    @workflow.query
    def state(self) -> EntityState:
        """Return what it is doing, how much waits, and how much it has done."""
        doing = self._waiting[0].chunk.run_id if self._work is not None else ""
        return EntityState(doing, len(self._waiting) - bool(doing), self._done)
