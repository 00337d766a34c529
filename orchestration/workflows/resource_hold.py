"""ResourceHoldWorkflow: has the id of a resource, so that no child that uses it starts meanwhile."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.temporal.deployment import FOLLOWS_CURRENT


@workflow.defn(versioning_behavior=FOLLOWS_CURRENT)
class ResourceHoldWorkflow:
    """Hold a resource for a rollback, whose own id is below the child that it undoes.

    Signal: `release`. Ends when it is released, and at the latest with its execution timeout.
    """

    def __init__(self) -> None:
        self._is_released = False

    @workflow.run
    async def run(self) -> None:
        """Return once the resource is released."""
        await workflow.wait_condition(lambda: self._is_released)

    @workflow.signal
    def release(self) -> None:
        """Let others use the resource."""
        self._is_released = True
