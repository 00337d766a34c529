"""StepsWorkflow: a flow from data. Steps in order, side by side, in branches and loops, and approvals between them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orchestration.approval import verdict
    from orchestration.contracts import FlowInput, NodeKind
    from orchestration.definition_values import holds
    from orchestration.definitions import (
        Approval,
        ApprovalStep,
        IfStep,
        Loop,
        LoopStep,
        OnTimeout,
        ParallelStep,
        RunStep,
        SleepStep,
        Step,
        Steps,
    )
    from orchestration.flow import FlowParent


class Refused(Exception):
    """A person refused: the flow ends after the steps for that case."""


@workflow.defn
class StepsWorkflow(FlowParent):
    """Interpret a definition and return the steps' results by name.

    Signals, queries: FlowParent's. Fails when a step fails, or as refused when a person refused.
    """

    @workflow.init
    def __init__(self, given: FlowInput) -> None:
        super().__init__(given)
        self._steps = Steps.model_validate(given.definition).steps
        self._results = dict[str, Any]()

    @workflow.run
    async def run(self, given: FlowInput) -> dict[str, Any]:
        """Return the results by step."""
        return await self.perform(self._flow)

    async def _flow(self) -> dict[str, Any]:
        try:
            await self._sequence(self._steps, "")
        except Refused as refused:
            raise ApplicationError(str(refused), type="Refused", non_retryable=True) from refused
        return self._results

    async def _sequence(self, steps: Sequence[Step], above: str) -> None:
        for step in steps:
            await self._one(step, above)

    async def _one(self, step: Step, above: str) -> None:
        kind = NodeKind.GATE if isinstance(step, ApprovalStep) else NodeKind.STEP
        self._results[step.name] = await self.step(
            step.name, lambda node: self._interpret(step, node), kind=kind, above=above
        )

    async def _interpret(self, step: Step, node: str) -> Any:
        """Do what a step says and return its result."""
        if isinstance(step, RunStep):
            return await self.act(step.name, step.run, self._results)
        if isinstance(step, ParallelStep):
            await asyncio.gather(*(self._one(each, node) for each in step.parallel))
            return {each.name: self._results[each.name] for each in step.parallel}
        if isinstance(step, IfStep):
            is_so = holds(step.condition, self._results)
            await self._sequence(step.then if is_so else step.otherwise, node)
            return {"branch": "then" if is_so else "else"}
        if isinstance(step, LoopStep):
            return await self._loop(step.loop, node)
        if isinstance(step, ApprovalStep):
            return await self._approve(step.approval, step.refused, node)
        assert isinstance(step, SleepStep)
        await workflow.sleep(timedelta(seconds=step.sleep))
        return None

    async def _loop(self, loop: Loop, node: str) -> dict[str, Any]:
        for number in range(1, loop.max + 1):
            self.note(node, f"Round {number} of at most {loop.max}.")
            await self._sequence(loop.steps, node)
            condition = loop.until or loop.while_
            assert condition is not None
            if holds(condition, self._results) is (loop.until is not None):
                return {"rounds": number, "held": True}
        return {"rounds": loop.max, "held": False}

    async def _approve(self, approval: Approval, refused: Sequence[Step], node: str) -> dict[str, Any]:
        decision = await self.approval(node, approval.title, timedelta(seconds=approval.timeout))
        approved = decision.approved if decision else approval.on_timeout is OnTimeout.APPROVE
        by = decision.person if decision else ""
        if approved:
            return {"approved": True, "by": by, "comment": ""}
        self._results[node.rsplit("/", 1)[-1]] = {"approved": False, "by": by, "comment": ""}
        await self._sequence(refused, node)
        raise Refused(verdict(decision))
