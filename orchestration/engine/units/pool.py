"""Pool: children whose chunks are handed off to long-lived workers, by signal and one at a time each.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import FailureError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import PAUSED_NOTE, EventKind, NodeKind, Place
    from orchestration.contracts.fan_out import FanOutInput
    from orchestration.contracts.long_lived import PoolWorkerInput, WorkerReport
    from orchestration.contracts.names import (
        ASSIGN_CHUNK_SIGNAL,
        CLOSE_SIGNAL,
        DROP_CHUNK_SIGNAL,
        POOL_WORKER_WORKFLOW,
    )
    from orchestration.contracts.patches import PAUSE_HOLDS_HANDOFF
    from orchestration.contracts.workflow_ids import pool_worker_id
    from orchestration.engine.child_handles import in_background, signal_if_open, start_when_id_is_free
    from orchestration.engine.node_run import NodeRun
    from orchestration.engine.supervisor import Unit
    from orchestration.engine.units.children import Children
    from orchestration.engine.units.handoff import Handoff


class _Worker:
    """One worker of a pool as its coordinator sees it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_paused = False
        self.is_closing = False
        self.handoff: Handoff | None = None
        self.handle: ChildWorkflowHandle[Any, Any] | None = None

    @property
    def is_free(self) -> bool:
        """Whether it may be assigned a chunk."""
        return self.handle is not None and self.handoff is None and not self.is_paused and not self.is_closing

    def signal(self, signal: str, *arguments: Any) -> None:
        """Send it a signal, if it has started."""
        if self.handle is not None:
            in_background(signal_if_open(self.handle, signal, *arguments))


class Pool(Children):
    """Children that are handed off to as many workers as the window has places, one chunk at a time each."""

    def __init__(self, given: FanOutInput, failed: Callable[[int], None]) -> None:
        super().__init__(given, failed)
        self._workers = dict[int, _Worker]()
        self._worker_tasks = dict[int, asyncio.Task[None]]()
        self._is_closing = False

    async def start(self, unit: int) -> Unit:
        """Assign a chunk to the next worker that is free."""
        self._scale()
        handoff = Handoff(self.name(unit), self._chunk(unit), lambda: self._drop(handoff))
        await self._assign(handoff)
        return handoff

    async def _assign(self, handoff: Handoff) -> None:
        """Assign a chunk to a worker as soon as one is free, unless the parent stops before; not while it is paused."""
        chunk, supervisor = handoff.chunk, self.supervisor

        def may_go_on() -> bool:
            is_waiting = self._free() is None or (is_held_up and supervisor.is_halted)
            return not is_waiting or supervisor.stop_reason is not None

        while True:  # several may wait for the same worker
            worker = self._free()
            is_held_up = worker is not None and supervisor.is_halted and workflow.patched(PAUSE_HOLDS_HANDOFF)
            if worker is not None and not is_held_up:
                break
            if supervisor.stop_reason is not None:
                handoff.cancel()
                return
            await workflow.wait_condition(may_go_on)
        worker.handoff = handoff
        last = chunk.offset + chunk.length
        self._note(worker, f"item {last:,}" if chunk.length == 1 else f"items {chunk.offset + 1:,}-{last:,}")
        worker.signal(ASSIGN_CHUNK_SIGNAL, chunk)

    def _drop(self, handoff: Handoff) -> None:
        """Ask the worker that has a chunk to stop it; one that no worker has is canceled at once."""
        worker = next((each for each in self._workers.values() if each.handoff is handoff), None)
        if worker is not None:
            worker.signal(DROP_CHUNK_SIGNAL, handoff.chunk.run_id)
        else:
            handoff.fail(asyncio.CancelledError())

    def _free(self) -> _Worker | None:
        return next((worker for worker in self._workers.values() if worker.is_free), None)

    def steer(self, window: int) -> None:
        """Have as many workers as the window has places; one too many closes after its current chunk."""
        self._scale()

    def _scale(self) -> None:
        supervisor = self.supervisor
        wanted = 0 if self._is_closing else min(supervisor.window, len(supervisor.open) + supervisor.pending)
        open_workers = [worker for worker in self._workers.values() if not worker.is_closing]
        for number in range(self.supervisor.window):
            if len(open_workers) < wanted and number not in self._workers:
                worker = self._workers[number] = _Worker(number)
                open_workers.append(worker)
                self._worker_tasks[number] = asyncio.create_task(self._run_worker(worker))
        for worker in open_workers[self.supervisor.window :]:
            self._close_worker(worker)

    def _close_worker(self, worker: _Worker) -> None:
        worker.is_closing = True
        worker.signal(CLOSE_SIGNAL)

    async def _run_worker(self, worker: _Worker) -> None:
        """Start a worker and await its end. A chunk that it had when it was lost fails with it."""
        parent = workflow.info().workflow_id
        worker.handle = handle = await start_when_id_is_free(lambda: self._start_worker(worker.number))
        try:
            with NodeRun(self.supervisor.outbox) as run:
                place = Place(parent, NodeKind.POOL_WORKER, str(worker.number + 1), worker.number)
                run.started(handle.id, handle.first_execution_run_id, place)
                if worker.is_closing:
                    worker.signal(CLOSE_SIGNAL)
                await handle
        except FailureError as error:
            if worker.handoff is not None:
                worker.handoff.fail(error)
        del self._workers[worker.number]
        self._scale()

    async def _start_worker(self, number: int) -> ChildWorkflowHandle[Any, Any]:
        return await workflow.start_child_workflow(
            POOL_WORKER_WORKFLOW,
            PoolWorkerInput(number),
            id=pool_worker_id(workflow.info().workflow_id, number),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            parent_close_policy=ParentClosePolicy.TERMINATE,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=f"worker {number + 1}",
        )

    def handoff_reported(self, report: WorkerReport) -> None:
        """Record how a chunk ended; one that a paused worker returns unprocessed is assigned again."""
        worker = self._workers.get(report.worker)
        if worker is None:
            return
        worker.is_paused = report.is_paused
        handoff = worker.handoff
        if handoff is not None and handoff.chunk.child == report.child and handoff.chunk.run_id == report.run_id:
            worker.handoff = None
            if report.outcome is None:
                in_background(self._assign(handoff))
            else:
                handoff.end(report)
        if worker.handoff is None and (worker.is_paused or not self.supervisor.pending):
            self._note(worker, PAUSED_NOTE if worker.is_paused else "idle")

    def _note(self, worker: _Worker, text: str) -> None:
        if worker.handle is not None:
            self.supervisor.outbox.put(EventKind.NOTE, worker.handle.id, "", note=text)

    async def close(self) -> None:
        """Close all workers, and wait until they have ended."""
        self._is_closing = True
        for worker in self._workers.values():
            self._close_worker(worker)
        if self._worker_tasks:
            await asyncio.gather(*self._worker_tasks.values())
