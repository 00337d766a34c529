"""EntityWorkflow: a long-lived account or device. It gets operations by signal and runs them one after another."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.long_lived import EntityInput, EntityOperation, EntityState, WorkerReport
    from orchestration.contracts.names import HOLD_OPERATIONS_SIGNAL, RESUME_OPERATIONS_SIGNAL, WORKER_REPORT_SIGNAL
    from orchestration.contracts.status import Failure, Status
    from orchestration.engine.cancellation import hears_cancel, to_its_end
    from orchestration.engine.child_handles import signal_if_open
    from orchestration.engine.chunk_runner import ChunkRunner
    from orchestration.temporal.deployment import FOLLOWS_CURRENT

RECENT = 200
"""Completed operations remembered: one that is submitted twice arrives twice within a short time."""


@workflow.defn(versioning_behavior=FOLLOWS_CURRENT)
class EntityWorkflow:
    """Run operations in the order of their arrival, of any batch, and return how many there were.

    Signals: `submit` an operation; `drop` one; `hold` those of a run that is paused, and `resume` them; `close` once
    nothing waits. Query: `state`. Continues as new after some operations, with those that wait; shuts down when none
    has arrived for a while. Canceled itself, it cancels what it runs and what waits, and ends canceled.
    """

    @workflow.init
    def __init__(self, given: EntityInput) -> None:
        self._given = given
        self._waiting = list(given.waiting)
        self._recent = list(given.recent)
        self._done = given.done
        self._runner = ChunkRunner(given.dropped)
        self._held = dict.fromkeys(given.held)
        self._is_closing = False

    @workflow.run
    async def run(self, given: EntityInput) -> int:
        """Return the number of operations that it has done, in all its runs."""
        while True:
            try:
                await workflow.wait_condition(
                    lambda: self._next is not None or (self._is_closing and not self._waiting),
                    timeout=timedelta(seconds=given.idle),
                )
            except TimeoutError:
                await to_its_end(self._forget_ended())
            except asyncio.CancelledError:
                await self._cancel_waiting()
            if hears_cancel():
                await self._cancel_waiting()
            operation = self._next
            if operation is not None:
                await self._process(operation)
            elif not self._waiting:
                return self._done
            if hears_cancel():
                await self._cancel_waiting()
            is_long = self._done - given.done >= given.continue_after or workflow.info().is_continue_as_new_suggested()
            if is_long and not self._is_closing:
                workflow.continue_as_new(self._next_run())

    def _next_run(self) -> EntityInput:
        """Return the input of the run that continues this one."""
        dropped = [each.chunk.run_id for each in self._waiting if self._runner.is_dropped(each.chunk)]
        held = [run for run in self._held if any(each.submitted_by == run for each in self._waiting)]
        kept = replace(self._given, done=self._done, waiting=self._waiting, recent=self._recent)
        return replace(kept, dropped=dropped, held=held)

    @property
    def _next(self) -> EntityOperation | None:
        """The first operation that does not wait for its batch, which is paused; one that was dropped need not."""
        free = (
            each for each in self._waiting if each.submitted_by not in self._held or self._runner.is_dropped(each.chunk)
        )
        return next(free, None)

    async def _forget_ended(self) -> None:
        """Forget the operations that are held for workflows which have ended: nobody will resume them."""
        for reply_to in dict.fromkeys(each.reply_to for each in self._waiting):
            submitter = workflow.get_external_workflow_handle(reply_to)
            if not await signal_if_open(submitter, WORKER_REPORT_SIGNAL, WorkerReport(0, False)):
                self._waiting = [each for each in self._waiting if each.reply_to != reply_to]

    async def _cancel_waiting(self) -> None:
        """Report what waits as canceled. Raises asyncio.CancelledError."""
        for operation in list(self._waiting):
            await self._report(operation, Status.CANCELED)
        raise asyncio.CancelledError

    async def _process(self, operation: EntityOperation) -> None:
        """Run one operation, and report to the workflow that submitted it how it ended."""
        outcome, failure = await self._runner.run(operation.chunk)
        await self._report(operation, outcome, failure)

    async def _report(self, operation: EntityOperation, outcome: Status, failure: Failure | None = None) -> None:
        self._done += 1
        self._waiting.remove(operation)
        self._recent = [*self._recent, operation.chunk.run_id][-RECENT:]
        report = WorkerReport(0, False, operation.chunk.child, operation.chunk.run_id, outcome, failure)
        reply_to = workflow.get_external_workflow_handle(operation.reply_to)
        await to_its_end(signal_if_open(reply_to, WORKER_REPORT_SIGNAL, report))

    @workflow.signal
    def submit(self, operation: EntityOperation) -> None:
        """Run an operation after those that wait; one that was submitted before is not run again."""
        known = {each.chunk.run_id for each in self._waiting} | set(self._recent)
        if operation.chunk.run_id not in known:
            self._waiting.append(operation)

    @workflow.signal
    def drop(self, run_id: str) -> None:
        """Cancel an operation, whether it runs or waits."""
        self._runner.drop(run_id)

    @workflow.signal(name=HOLD_OPERATIONS_SIGNAL)
    def hold(self, run_id: str) -> None:
        """Begin no further operation of a run."""
        self._held[run_id] = None

    @workflow.signal(name=RESUME_OPERATIONS_SIGNAL)
    def resume(self, run_id: str) -> None:
        """Run the operations of a run again."""
        self._held.pop(run_id, None)

    @workflow.signal
    def close(self) -> None:
        """Shut down once nothing waits."""
        self._is_closing = True

    @workflow.query
    def state(self) -> EntityState:
        """Return which operation runs, how many wait, and how many have ended."""
        running = self._runner.run_id
        return EntityState(running, len(self._waiting) - bool(running), self._done)
