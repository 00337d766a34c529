"""SagaWorkflow: steps in order, each with what undoes it; a failure undoes them in reverse."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts import ROLLED_BACK, EventKind, FlowInput, NodeKind
    from orchestration.definition_values import Missing
    from orchestration.definitions import Saga, SagaStep
    from orchestration.flow import FlowParent, failed_step


@workflow.defn
class SagaWorkflow(FlowParent):
    """Run the steps of a saga, and return their results by name.

    Signals, updates, queries: FlowParent's. Fails as rolled back when a step failed: what was done is undone first, and
    a compensation that fails does not stop the others. Canceled, it undoes what was done, too.
    """

    @workflow.init
    def __init__(self, given: FlowInput) -> None:
        super().__init__(given)
        self._saga = Saga.model_validate(given.definition)
        self._done = list[tuple[SagaStep, str]]()
        self._results = dict[str, Any]()

    @workflow.run
    async def run(self, given: FlowInput) -> dict[str, Any]:
        """Return the results by step."""
        return await self.perform(self._flow)

    async def _flow(self) -> dict[str, Any]:
        for step in self._saga.steps:
            try:
                await self.step(step.name, partial(self._do, step))
            except asyncio.CancelledError:
                await self._undo()
                raise
            except (FailureError, Missing) as error:
                why = failed_step(step.name, error)
                raise ApplicationError(f"{why.message} {await self._undo()}", type=ROLLED_BACK) from error
        return self._results

    async def _do(self, step: SagaStep, node: str) -> None:
        self._results[step.name] = await self.act(step.name, step, self._results)
        if step.compensation is not None:
            self._done.append((step, node))

    async def _undo(self) -> str:
        """Undo what was done, last first, and say what was undone and what could not be."""
        undone, left = list[str](), list[str]()
        if self._done:
            self.moment(EventKind.ROLLING_BACK, f"{len(self._done):,} steps are undone.")
        for step, node in reversed(self._done):
            try:
                await self.step("rollback", partial(self._compensate, step), kind=NodeKind.ROLLBACK, above=node)
            except (FailureError, Missing):
                left.append(step.name)
            else:
                undone.append(step.name)
        said = f"Undone: {', '.join(undone) or 'nothing'}."
        return f"{said} Could not be undone: {', '.join(left)}." if left else said

    async def _compensate(self, step: SagaStep, node: str) -> None:
        assert step.compensation is not None
        await self.act(f"undo {step.name}", step.compensation, self._results)
