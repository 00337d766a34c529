"""StepsWorkflow: a flow from a definition: steps in sequence or parallel, branches, loops, fan-outs, approvals."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.carried import whole
    from orchestration.contracts.events import NodeKind
    from orchestration.contracts.flows import FanOutRequest, FlowInput, Section
    from orchestration.contracts.messages import MOST_CHILDREN
    from orchestration.contracts.names import BEGIN_FAN_OUT_ACTIVITY
    from orchestration.contracts.status import REFUSED, Counts, Status
    from orchestration.definitions.expressions import Condition, Reference
    from orchestration.definitions.models import Steps
    from orchestration.definitions.steps import (
        Approval,
        ApprovalStep,
        FanOutStep,
        IfStep,
        Loop,
        LoopStep,
        OnTimeout,
        ParallelStep,
        RunStep,
        SleepStep,
        Step,
    )
    from orchestration.engine.approval import verdict
    from orchestration.engine.cancellation import clean_up, stop_if_canceled
    from orchestration.engine.flows.bounds import check_input
    from orchestration.engine.flows.flow import failed_step
    from orchestration.engine.flows.kept_results import condition_holds, fan_out_over_stored, list_of
    from orchestration.engine.flows.sections import SectionFlow
    from orchestration.engine.item_inserts import insert_items
    from orchestration.engine.retry import TOO_MANY
    from orchestration.engine.units.policies import ALREADY_RUNNING
    from orchestration.temporal.deployment import FOLLOWS_CURRENT

NOT_STARTED = "its step has not started yet"
UNFINISHED = ("failed", "timed_out", "terminated", "canceled", "skipped")
"""The other outcomes, in the order in which children that were run again are taken off the counts."""


class Refused(Exception):
    """A person refused: the flow ends after the steps for that case."""


@workflow.defn(versioning_behavior=FOLLOWS_CURRENT)
class StepsWorkflow(SectionFlow):
    """Interpret a definition and return the steps' results by name.

    Signals, update, queries: SectionFlow's. Fails when a step fails, or as refused when a person refused. Started again
    to retry it runs the steps that have not completed, and the children that are named again, also of completed steps.
    """

    @workflow.init
    def __init__(self, given: FlowInput) -> None:
        definition = Steps.model_validate(whole(given.definition))
        super().__init__(given, definition.stages)
        self._steps = definition.steps
        self._stage_of = {step.name: number for number, step in enumerate(definition.fan_outs)}
        self._next_section = max(self.sections, default=-1) + 1
        self._started = set[str]()
        self._selected = dict[int, dict[int, None]]()
        self._retries = set[asyncio.Task[None]]()

    @workflow.run
    async def run(self, given: FlowInput) -> dict[str, Any]:
        """Return the results by step."""
        return await self.run_flow(self._flow)

    async def _flow(self) -> dict[str, Any]:
        if self.given.is_retry:
            await self.await_retry()
        try:
            await self._sequence(self._steps, "")
        except Refused as refused:
            raise ApplicationError(str(refused), type=REFUSED, non_retryable=True) from refused
        except asyncio.CancelledError:
            self._cancel_retries()
            raise
        finally:
            if self._retries:
                await clean_up(workflow.wait_condition(lambda: not self._retries), self._cancel_retries)
            self.is_closing = True
        stop_if_canceled()
        return self.results

    def _cancel_retries(self) -> None:
        self.is_closing = True
        for task in self._retries:
            task.cancel()

    async def _sequence(self, steps: Sequence[Step], above: str) -> None:
        for step in steps:
            await self._run_step(step, above)

    async def _run_step(self, step: Step, above: str) -> None:
        if isinstance(step, FanOutStep):
            self.results[step.name] = await self._fan_out(step, above)
            return
        kind = NodeKind.GATE if isinstance(step, ApprovalStep) else NodeKind.STEP
        self.results[step.name] = await self.step(
            step.name, lambda node: self._interpret(step, node), kind=kind, above=above
        )

    async def _interpret(self, step: Step, node: str) -> Any:
        """Run a step by its kind and return its result."""
        if isinstance(step, RunStep):
            return await self.run_processor(step.name, step.run, self.results, idempotency_key=node, row=node)
        if isinstance(step, ParallelStep):
            return await self._parallel(step.parallel, node)
        if isinstance(step, IfStep):
            is_so = await self._holds(step.condition)
            await self._sequence(step.then if is_so else step.otherwise, node)
            return {"branch": "then" if is_so else "else"}
        if isinstance(step, LoopStep):
            return await self._loop(step.loop, node)
        if isinstance(step, ApprovalStep):
            return await self._approve(step.approval, step.refused, node)
        assert isinstance(step, SleepStep)
        await workflow.sleep(timedelta(seconds=step.sleep))
        return None

    async def _parallel(self, steps: Sequence[Step], node: str) -> dict[str, Any]:
        """Run steps at the same time, all to their end. Raises what the first of them raised that failed."""
        ends = await asyncio.gather(*(self._run_step(each, node) for each in steps), return_exceptions=True)
        for error in ends:
            if error is not None:
                raise error
        return {each.name: self.results[each.name] for each in steps}

    async def _loop(self, loop: Loop, node: str) -> dict[str, Any]:
        for number in range(1, loop.max + 1):
            self.note(node, f"Round {number} of at most {loop.max}.")
            await self._sequence(loop.steps, node)
            condition = loop.until or loop.while_
            assert condition is not None
            if await self._holds(condition) is (loop.until is not None):
                return {"rounds": number, "held": True}
        return {"rounds": loop.max, "held": False}

    async def _holds(self, condition: Condition) -> bool:
        is_so = await condition_holds(self.given.batch_id, condition, self.results)
        stop_if_canceled()
        return is_so

    async def _approve(self, approval: Approval, refused: Sequence[Step], node: str) -> dict[str, Any]:
        decision = await self.await_approval(node, approval.title, timedelta(seconds=approval.timeout))
        approved = decision.approved if decision else approval.on_timeout is OnTimeout.APPROVE
        by = decision.person if decision else ""
        if approved:
            return {"approved": True, "by": by, "comment": ""}
        self.results[node.rsplit("/", 1)[-1]] = {"approved": False, "by": by, "comment": ""}
        await self._sequence(refused, node)
        raise Refused(verdict(decision))

    # Fan-outs

    async def _fan_out(self, step: FanOutStep, above: str) -> dict[str, Any]:
        """Run a fan-out, or of one that an earlier run has started only the children that are to run again."""
        await self.may_start()
        row = self.next_row_id(step.name, above)
        if row in self.done:
            done: dict[str, Any] = self.done[row]
            return done
        self._started.add(row)
        is_new = row not in self.fan_outs
        section = await self._insert_section(step, row, above) if is_new else self.sections[self.fan_outs[row]]
        if not section.items:
            await self.run_as_row(row, self._no_items, kind=NodeKind.STEP, above=above, label=step.name)
            return _fan_out_result(section, Counts())
        children = None if is_new else sorted(self._selected.pop(section.number, ()))
        try:
            counts = await self._run(section, children)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            raise failed_step(step.name, error) from error
        self.done[row] = counts
        stop_if_canceled()
        return counts

    async def _insert_section(self, step: FanOutStep, row: str, above: str) -> Section:
        """Insert a section's items and children."""
        stage, items = self._stage_of[step.name], step.fan_out.items
        listed = list_of(step.name, items.ref, self.results) if isinstance(items, Reference) else items
        self.position += 1
        wanted = FanOutRequest(
            *(self.given.batch_id, self._number_for(stage), stage, self.position),
            items=None if listed is None or items == "batch" else list(listed),
            around=above.rsplit("/", 1)[-1],
        )
        if isinstance(items, Reference) and listed is None:
            section = await fan_out_over_stored(step.name, items.ref, self.results, wanted)
        else:
            await self.task_room.take(check_input(step.name, wanted))
            section = await insert_items(BEGIN_FAN_OUT_ACTIVITY, wanted, Section, summary=step.name)
        if section.items:
            self.sections[section.number] = section
            self.fan_outs[row] = section.number
        return section

    def _number_for(self, stage: int) -> int:
        """Return the number of a new section, or that of one which was inserted at launch and has not started."""
        started = self.fan_outs.values()
        kept = [each.number for each in self.sections.values() if each.stage == stage and each.number not in started]
        if kept:
            return kept[0]
        self._next_section += 1
        return self._next_section - 1

    async def _no_items(self, row: str) -> None:
        self.note(row, "No items.")

    async def _run(self, section: Section, children: list[int] | None) -> dict[str, Any]:
        """Run a section's children, or those that are named again, and return the counts of all."""
        if children is None:
            return _fan_out_result(section, (await self.run_section(section, None)).counts)
        everything = self.layout(section).children
        before = Counts(completed=everything - len(children), failed=len(children))
        return _fan_out_result(section, await self._run_again(section, children, before))

    async def _run_again(self, section: Section, children: list[int], before: Counts) -> Counts:
        if not children:
            return before
        result = await self.run_section(section, children)
        return _recounted(before, len(children), result.counts)

    # Retry

    def select_for_retry(self, number: int, child: int) -> str | None:
        """Run a child again at once where its step is over, and otherwise when its step's turn comes."""
        row = next((row for row, each in self.fan_outs.items() if each == number), None)
        if row is None:
            return NOT_STARTED
        selected = self._selected.setdefault(number, {})
        if child in selected:
            return ALREADY_RUNNING
        if len(selected) >= MOST_CHILDREN:
            return TOO_MANY
        if not selected and (row in self.done or row in self._started):
            task = asyncio.create_task(self._retry_selected(row, number))
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)
        selected[child] = None
        return None

    async def _retry_selected(self, row: str, number: int) -> None:
        """Run the selected children of a step that is over again, beside the flow, and update the step's result."""
        section, children = self.sections[number], sorted(self._selected.pop(number))
        done = self.done.get(row)
        before = Counts(**{name: done[name] for name in ("completed", *UNFINISHED)}) if done else Counts()
        try:
            counts = _fan_out_result(section, await self._run_again(section, children, before))
        except FailureError as error:
            workflow.logger.info("%s failed again: %s", row, error)
            return
        if done is not None:
            self.results = {name: counts if each is done else each for name, each in self.results.items()}
            self.done[row] = counts


def _fan_out_result(section: Section, counts: Counts) -> dict[str, Any]:
    """Return the result of a step that fans out."""
    return {"items": section.items, **asdict(counts)}


def _recounted(before: Counts, number: int, again: Counts) -> Counts:
    """Return counts in which `number` children count by their new outcomes instead; those before were failures first.

    Others had completed, and their results were lost.
    """
    counts = replace(before)
    for name in UNFINISHED:
        taken = min(number, getattr(counts, name))
        counts.add(Status(name), -taken)
        number -= taken
    counts.completed -= min(number, counts.completed)
    for status in Status:
        if status.is_outcome:
            counts.add(status, getattr(again, status.value))
    return counts
