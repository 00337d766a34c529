"""SagaWorkflow: steps in order, each with a compensation; a failure runs those in reverse. For a batch, or an item."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.carried import whole
    from orchestration.contracts.chunks import ChunkInput, ChunkResult
    from orchestration.contracts.events import EventKind, NodeKind
    from orchestration.contracts.flows import FlowInput
    from orchestration.contracts.item_workflows import SagaItem
    from orchestration.contracts.names import READ_SAGA_ITEM_ACTIVITY, REFER_TO_SAGA_ITEM_ACTIVITY
    from orchestration.contracts.patches import STEP_RESULTS_STORED
    from orchestration.contracts.status import ROLLED_BACK
    from orchestration.definitions.expressions import Missing
    from orchestration.definitions.models import Saga, SagaStep
    from orchestration.definitions.parts import Work
    from orchestration.engine.cancellation import clean_up, hears_cancel, stop_if_canceled
    from orchestration.engine.flows.bounds import bounded
    from orchestration.engine.flows.flow import FlowParent, failed_step
    from orchestration.engine.item_store import read_item, write_result, write_step_results
    from orchestration.errors.failures import failure_of
    from orchestration.plan.plan import Plan

ITEM = "item"
"""What the steps of an item's saga call the item."""


WorkT = TypeVar("WorkT", bound=Work)


class SagaFlow(FlowParent):
    """The steps and compensations of a saga, of a batch or of an item."""

    def __init__(self, given: FlowInput) -> None:
        super().__init__(given)
        self._steps: Sequence[SagaStep] = ()
        self._done = list[tuple[SagaStep, str]]()
        self._results = dict[str, Any]()

    @property
    def planned(self) -> int:
        """The number of its steps; what is undone comes on top."""
        return len(self._steps)

    def step_name(self, name: str) -> str:
        """Return what a step is called in its batch."""
        return name

    def idempotency_key(self, name: str) -> str:
        """Return the idempotency key of a step."""
        return self.node_id(name)

    async def _flow(self) -> dict[str, Any]:
        for step in self._steps:
            try:
                await self.step(step.name, partial(self._do, step))
            except asyncio.CancelledError:
                await self._undo_whole()
                raise
            except (FailureError, Missing) as error:
                why = failed_step(step.name, error)
                report = await self._undo_whole()
                stop_if_canceled()
                raise ApplicationError(f"{why.message} {report}", type=ROLLED_BACK) from error
        return self._results

    async def _undo_whole(self) -> str:
        """Undo what was done, to the end: a cancellation before or meanwhile only ends a pause."""
        if hears_cancel():
            self.pass_pause()
        return await clean_up(self._undo(), self.pass_pause)

    async def _do(self, step: SagaStep, node: str) -> Any:
        self._results[step.name] = result = await self.run_processor(
            *(self.step_name(step.name), step, self._results),
            idempotency_key=self.idempotency_key(step.name),
            row=node,
        )
        if step.compensation is not None:
            self._done.append((step, node))
        return result

    async def _undo(self) -> str:
        """Undo what was done, last first, and return in words what was undone and what could not be."""
        undone, left = list[str](), list[str]()
        if self._done:
            self.report_on_timeline(EventKind.ROLLING_BACK, f"Steps to undo: {len(self._done):,}.")
        for step, node in reversed(self._done):
            try:
                await self.step("rollback", partial(self._compensate, step), kind=NodeKind.ROLLBACK, above=node)
            except (FailureError, Missing):
                left.append(step.name)
            else:
                undone.append(step.name)
        report = f"Undone: {', '.join(undone) or 'nothing'}."
        return f"{report} Could not be undone: {', '.join(left)}." if left else report

    async def _compensate(self, step: SagaStep, node: str) -> None:
        assert step.compensation is not None
        name = f"undo {step.name}"
        await self.run_processor(
            *(self.step_name(name), step.compensation, self._results),
            idempotency_key=self.idempotency_key(name),
            row=node,
        )


@workflow.defn
class SagaWorkflow(SagaFlow):
    """Run the steps of a saga, and return their results by name.

    Signals, updates, queries: FlowParent's. Fails as rolled back when a step failed: what was done is undone first, and
    a compensation that fails does not stop the others. Canceled, it undoes what was done, too.
    """

    @workflow.init
    def __init__(self, given: FlowInput) -> None:
        super().__init__(given)
        self._steps = Saga.model_validate(whole(given.definition)).steps

    @workflow.run
    async def run(self, given: FlowInput) -> dict[str, Any]:
        """Return the results by step."""
        return await self.run_flow(self._flow)


def _over_item(step: SagaStep) -> SagaStep:
    """Return a step that takes the item where it names no input, and whose compensation does, too."""
    undo = _taking_item(step.compensation) if step.compensation is not None else None
    return _taking_item(step).model_copy(update={"compensation": undo})


def _taking_item(work: WorkT) -> WorkT:
    return work if work.input else work.model_copy(update={"input": {"ref": ITEM}})


@workflow.defn
class ItemSagaWorkflow(SagaFlow):
    """A child that is a saga of one item, which its steps refer to as "item". The item's result is theirs by name.

    Signals, queries and end: SagaWorkflow's.
    """

    @workflow.init
    def __init__(self, chunk: ChunkInput) -> None:
        super().__init__(FlowInput(chunk.batch_id, Plan(), 0, {}))
        self._chunk = chunk
        self._attempt = 1

    @workflow.run
    async def run(self, chunk: ChunkInput) -> ChunkResult:
        """Return the counts of its one item."""
        return await self.run_flow(self._process_item)

    async def _process_item(self) -> ChunkResult:
        refers = workflow.patched(STEP_RESULTS_STORED)
        read = REFER_TO_SAGA_ITEM_ACTIVITY if refers else READ_SAGA_ITEM_ACTIVITY
        item: SagaItem = await read_item(read, self._chunk, SagaItem)
        if item.is_done:
            return ChunkResult(1, 0)
        self._attempt = item.attempts + 1
        saga = Saga.model_validate(whole(item.definition))
        self.given = replace(self.given, plan=saga.plan)
        self._steps = [_over_item(step) for step in saga.steps]
        self._results = {ITEM: item.data}
        began = workflow.now()
        try:
            result = await self._flow()
        except ApplicationError as error:
            await write_result(self._chunk, self._attempt, began, failure=failure_of(error))
            raise
        result = bounded({name: value for name, value in result.items() if name != ITEM})
        await write_step_results(self._chunk, self._attempt, began, result)
        return ChunkResult(1, 0)

    def step_name(self, name: str) -> str:
        """Return what a step is called in its batch, where each item has its own."""
        return f"{name} {self._chunk.offset}"

    def idempotency_key(self, name: str) -> str:
        """Return the idempotency key of a step in this attempt: what was undone has to be done anew."""
        return f"{self.node_id(name)}#{self._attempt}"

    def report_on_timeline(self, kind: EventKind, note: str, node: str = "", until: datetime | None = None) -> None:
        """Keep the rollback of one of many items off the batch's timeline: its rows show it."""
