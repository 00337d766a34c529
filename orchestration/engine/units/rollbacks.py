"""Rollbacks: children that compensate what others completed."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.workflow import ChildWorkflowCancellationType

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkInput
    from orchestration.contracts.events import NodeKind, Place
    from orchestration.contracts.names import CHUNK_WORKFLOW
    from orchestration.contracts.workflow_ids import child_id, rollback_id
    from orchestration.engine.supervisor import Unit
    from orchestration.engine.units.children import Children
    from orchestration.engine.units.policies import runs_with_workflows


class Rollbacks(Children):
    """What undoes children: for each one workflow below it in the tree, which compensates its completed items."""

    def name(self, unit: int) -> str:
        """Return the rollback's workflow id."""
        return rollback_id(self._given.batch_id, unit, self._given.partition, self._given.section)

    def place(self, unit: int) -> Place | None:
        """Return the place below the child."""
        below = child_id(self._given.batch_id, unit, self._given.partition, self._given.section)
        chunk = self.layout.chunk(unit)
        return Place(below, NodeKind.ROLLBACK, "rollback", unit, chunk.offset, chunk.length)

    async def prepare(self) -> None:
        """Do nothing: what is undone holds no resource."""

    async def start(self, unit: int) -> Unit:
        """Start a rollback; one that failed may be started again."""
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
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=f"rollback of child {unit:,}",
        )
