"""Pool: children that are chunks in the hands of long-lived workers, which get them by signal, one at a time each.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import PAUSED_NOTE, EventKind, NodeKind, Place
    from orchestration.contracts.fan_out import FanOutInput
    from orchestration.contracts.long_lived import PoolWorkerInput, WorkerReport
    from orchestration.contracts.names import POOL_WORKER_WORKFLOW
    from orchestration.contracts.status import Status
    from orchestration.contracts.workflow_ids import pool_worker_id
    from orchestration.engine.supervisor import Unit
    from orchestration.engine.units.children import Children
    from orchestration.engine.units.handoff import Handed
    from orchestration.engine.units.policies import ID_TAKEN_PAUSES
    from orchestration.errors.failures import outcome_of

TAKE, DROP, CLOSE = "take", "drop", "close"
"""Signals of a pool worker, beside `pause` and `resume`."""


class _Worker:
    """One worker of a pool as its coordinator sees it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_paused = False
        self.is_closing = False
        self.handed: Handed | None = None
        self.handle: ChildWorkflowHandle[Any, Any] | None = None

    @property
    def is_free(self) -> bool:
        """Whether it may be handed a chunk."""
        return self.handle is not None and self.handed is None and not self.is_paused and not self.is_closing

    def tell(self, signal: str, *given: Any) -> None:
        """Send it a signal."""
        if self.handle is not None:
            asyncio.create_task(self._tell(self.handle, signal, *given))  # noqa: RUF006

    async def _tell(self, handle: ChildWorkflowHandle[Any, Any], signal: str, *given: Any) -> None:
        try:
            await handle.signal(signal, args=given)
        except ApplicationError:
            workflow.logger.info("%s closed before it could be told to %s.", handle.id, signal)


class Pool(Children):
    """Children that are handed to workers: as many as the window has places, each with one chunk at a time."""

    def __init__(self, given: FanOutInput, failed: Callable[[int], None]) -> None:
        super().__init__(given, failed)
        self._workers = dict[int, _Worker]()
        self._lives = dict[int, asyncio.Task[None]]()
        self._is_closing = False

    async def start(self, unit: int) -> Unit:
        """Hand a chunk to the next worker that is free."""
        self._staff()
        handed = Handed(self.name(unit), self._chunk(unit), lambda: self._drop(handed))
        await self._hand_over(handed)
        return handed

    async def _hand_over(self, handed: Handed) -> None:
        """Give a chunk to a worker as soon as one is free, unless the parent stops before."""
        chunk = handed.chunk
        while (worker := self._free()) is None:  # several may wait for the same one
            if self.supervisor.stop_reason is not None:
                handed.cancel()
                return
            await workflow.wait_condition(lambda: self._free() is not None or self.supervisor.stop_reason is not None)
        worker.handed = handed
        last = chunk.offset + chunk.length
        self._note(worker, f"item {last:,}" if chunk.length == 1 else f"items {chunk.offset + 1:,}-{last:,}")
        worker.tell(TAKE, chunk)

    def _drop(self, handed: Handed) -> None:
        """Ask the worker that has a chunk to stop; what no worker has, nobody gets."""
        worker = next((each for each in self._workers.values() if each.handed is handed), None)
        if worker is not None:
            worker.tell(DROP, handed.chunk.run_id)
        else:
            handed.fail(asyncio.CancelledError())

    def _free(self) -> _Worker | None:
        return next((worker for worker in self._workers.values() if worker.is_free), None)

    def steer(self, window: int) -> None:
        """Have as many workers as the window has places; one too many goes home once its hands are free."""
        self._staff()

    def _staff(self) -> None:
        supervisor = self.supervisor
        wanted = 0 if self._is_closing else min(supervisor.window, len(supervisor.open) + supervisor.pending)
        at_work = [worker for worker in self._workers.values() if not worker.is_closing]
        for number in range(self.supervisor.window):
            if len(at_work) < wanted and number not in self._workers:
                worker = self._workers[number] = _Worker(number)
                at_work.append(worker)
                self._lives[number] = asyncio.create_task(self._live(worker))
        for worker in at_work[self.supervisor.window :]:
            self._dismiss(worker)

    def _dismiss(self, worker: _Worker) -> None:
        worker.is_closing = True
        worker.tell(CLOSE)

    async def _live(self, worker: _Worker) -> None:
        """Start a worker and follow it to its end. What it had in its hands when it was lost has failed with it."""
        info = workflow.info()
        worker.handle = handle = await self._start_worker(worker, pool_worker_id(info.workflow_id, worker.number))
        run_id = handle.first_execution_run_id or ""
        place = Place(info.workflow_id, NodeKind.POOL_WORKER, str(worker.number + 1), worker.number)
        outbox = self.supervisor.outbox
        outbox.put(EventKind.STARTED, handle.id, run_id, place=place)
        if worker.is_closing:
            worker.tell(CLOSE)
        outcome, failure = Status.COMPLETED, None
        try:
            await handle
        except FailureError as error:
            outcome, failure = outcome_of(error)
            if worker.handed is not None:
                worker.handed.fail(error)
        outbox.put(EventKind.CLOSED, handle.id, run_id, outcome=outcome, failure=failure)
        del self._workers[worker.number]
        self._staff()

    async def _start_worker(self, worker: _Worker, name: str) -> ChildWorkflowHandle[Any, Any]:
        tries = 0
        while True:
            try:
                return await workflow.start_child_workflow(
                    POOL_WORKER_WORKFLOW,
                    PoolWorkerInput(worker.number),
                    id=name,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    parent_close_policy=ParentClosePolicy.TERMINATE,
                    cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
                    static_summary=f"worker {worker.number + 1}",
                )
            except WorkflowAlreadyStartedError:
                await workflow.sleep(ID_TAKEN_PAUSES[min(tries, len(ID_TAKEN_PAUSES) - 1)])
                tries += 1

    def handed_back(self, outcome: WorkerReport) -> None:
        """Take in how a chunk ended, or that its worker was paused and others may have it."""
        worker = self._workers.get(outcome.worker)
        if worker is None:
            return
        worker.is_paused = outcome.is_paused
        handed = worker.handed
        if handed is not None and handed.chunk.child == outcome.child and handed.chunk.run_id == outcome.run_id:
            worker.handed = None
            if outcome.outcome is None:
                asyncio.create_task(self._hand_over(handed))  # noqa: RUF006  the workflow's loop keeps its tasks
            else:
                handed.end(outcome)
        if worker.handed is None and (worker.is_paused or not self.supervisor.pending):
            self._note(worker, PAUSED_NOTE if worker.is_paused else "idle")

    def _note(self, worker: _Worker, text: str) -> None:
        if worker.handle is not None:
            self.supervisor.outbox.put(EventKind.NOTE, worker.handle.id, "", note=text)

    async def close(self) -> None:
        """Send all workers home, and wait until they have gone."""
        self._is_closing = True
        for worker in self._workers.values():
            self._dismiss(worker)
        if self._lives:
            await asyncio.gather(*self._lives.values())
