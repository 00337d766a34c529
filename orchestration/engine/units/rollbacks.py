"""Rollbacks: children that compensate what others completed."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkInput, HoldInput
    from orchestration.contracts.events import NodeKind, Place
    from orchestration.contracts.names import CHUNK_WORKFLOW, RELEASE_SIGNAL
    from orchestration.contracts.patches import PAUSE_HOLDS_HANDOFF, ROLLBACK_HOLDS_RESOURCE
    from orchestration.contracts.workflow_ids import child_id, resource_id, rollback_id
    from orchestration.engine.child_handles import in_background, may_wait_for_id, signal_if_open
    from orchestration.engine.supervisor import Unit
    from orchestration.engine.units.children import Children
    from orchestration.engine.units.policies import reuse_policy, runs_with_workflows
    from orchestration.engine.units.resources import start_holding

HOLD_MARGIN = timedelta(minutes=10)
"""A resource is released by itself so long after the rollback should have ended, where its parent was terminated."""


class _HoldingRollback:
    """A rollback that holds a resource: a unit that is awaited like the workflow, and releases it then."""

    def __init__(self, handle: ChildWorkflowHandle[Any, Any], resource: str) -> None:
        self.id, self.first_execution_run_id = handle.id, handle.first_execution_run_id
        self._handle, self._resource = handle, resource

    def __await__(self) -> Generator[Any, None, Any]:
        """Return the rollback's result."""
        try:
            result = yield from self._handle.__await__()
        except (Exception, asyncio.CancelledError):  # not GeneratorExit: an evicted workflow signals nothing
            _release(self._resource)
            raise
        _release(self._resource)
        return result

    def cancel(self) -> None:
        """Ask it to stop."""
        self._handle.cancel()


class Rollbacks(Children):
    """What undoes children: for each one workflow below it in the tree, which compensates its completed items."""

    def name(self, unit: int) -> str:
        """Return the rollback's workflow id."""
        return rollback_id(self._given.batch_id, unit, self._given.partition, self._given.section)

    def place(self, unit: int) -> Place | None:
        """Return the place below the child."""
        resource = self._resources.get(unit)
        own = child_id(self._given.batch_id, unit, self._given.partition, self._given.section)
        below = own if resource is None else resource_id(resource)
        chunk = self.layout.chunk(unit)
        return Place(below, NodeKind.ROLLBACK, "rollback", unit, chunk.offset, chunk.length)

    async def prepare(self) -> None:
        """Read which resource each rollback uses, where the plan names any."""
        if self._given.plan.resource_field and workflow.patched(ROLLBACK_HOLDS_RESOURCE):
            self._resources = await self._read_resources()

    async def start(self, unit: int) -> Unit:
        """Start a rollback; one that failed may be started again."""
        resource = self._resources.get(unit)
        if resource is None:
            return await self._start(unit)
        await self._hold(unit, resource)
        while self.supervisor.is_halted and workflow.patched(PAUSE_HOLDS_HANDOFF):
            _release(resource)
            await self._resumed(resource)
            await self._hold(unit, resource)
        try:
            return _HoldingRollback(await self._start(unit), resource)
        except (Exception, asyncio.CancelledError):
            _release(resource)
            raise

    async def _hold(self, unit: int, resource: str) -> None:
        """Wait until nobody else uses a resource. Raises WorkflowAlreadyStartedError where the parent is stopped."""
        longest = self._given.plan.chunk_deadline(self.layout.chunk(unit).length) + HOLD_MARGIN
        hold = start_holding(HoldInput(resource_id(resource), resource, longest.total_seconds()))
        await workflow.wait_condition(lambda: hold.done() or self.supervisor.stop_reason is not None)
        if not hold.done():
            hold.cancel()
            raise WorkflowAlreadyStartedError(resource_id(resource), CHUNK_WORKFLOW)
        await hold

    async def _resumed(self, resource: str) -> None:
        """Wait while the batch is paused. Raises WorkflowAlreadyStartedError where the parent is stopped."""
        supervisor = self.supervisor
        await workflow.wait_condition(lambda: not supervisor.is_halted or supervisor.stop_reason is not None)
        if supervisor.stop_reason is not None:
            raise WorkflowAlreadyStartedError(resource_id(resource), CHUNK_WORKFLOW)

    async def wait_for_id(self, unit: int, tries: int) -> bool:
        """Wait until the run before has closed. A rollback whose id stays taken has undone what the record has."""
        return await self._has_lost(unit) or await may_wait_for_id(tries)

    async def _start(self, unit: int) -> ChildWorkflowHandle[Any, Any]:
        plan, chunk = self._given.plan, self.layout.chunk(unit)
        timeout = plan.chunk_deadline(chunk.length)
        undo = ChunkInput(
            *(self._given.batch_id, unit, chunk.offset, chunk.length, plan.task_queue, timeout),
            undo=True,
            stage=self._given.stage,
            begins_in_task=runs_with_workflows(plan),
        )
        return await workflow.start_child_workflow(
            CHUNK_WORKFLOW,
            undo,
            id=self.name(unit),
            id_reuse_policy=reuse_policy(may_repeat=unit in self._lost),
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=f"rollback of child {unit:,}",
        )


def _release(resource: str) -> None:
    holder = workflow.get_external_workflow_handle(resource_id(resource))
    in_background(signal_if_open(holder, RELEASE_SIGNAL))
