"""PipelineWorkflow: stages in order, each a fan-out over what the stage before has let through."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from orchestration.children import ALREADY_RUNNING, ID_TAKEN_PAUSES, PARENT_CLOSE
    from orchestration.contracts import (
        ADVANCE_ACTIVITY,
        EventKind,
        FanOutInput,
        FanOutResult,
        FlowInput,
        RetryAnswer,
        RetryRequest,
        Section,
        Status,
        WantedSection,
    )
    from orchestration.definitions import Pipeline
    from orchestration.flow import FlowParent
    from orchestration.partitions import PARTITION_OPEN
    from orchestration.plan import Layout, stage_id
    from orchestration.supervisor import outcome_of
    from orchestration.workflows.fan_out import PARENT_CLOSING, WAIT_FOR_RETRY, FanOutWorkflow

ADVANCE_TIMEOUT = timedelta(minutes=10)
ADVANCE_HEARTBEAT_TIMEOUT = timedelta(seconds=15)
ADVANCE_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=10)


@workflow.defn
class PipelineWorkflow(FlowParent):
    """Run the stages of a pipeline, one after another, and return how many children each let through.

    Signals: FlowParent's, and `set_window`, `skip`, `finish` for the stage that is open. Update: `retry`; what a retry
    lets through goes on to the later stages as a section of its own. Query: `progress`, in sections. Ends when no stage
    has anything left to do; fails when a stage's failure limit was exceeded.
    """

    @workflow.init
    def __init__(self, given: FlowInput) -> None:
        super().__init__(given)
        self._stages = Pipeline.model_validate(given.definition).stages
        self._sections = list(given.sections)
        self._selected = dict[int, list[int]]()
        self._open: tuple[int, ChildWorkflowHandle[Any, FanOutResult] | None] | None = None
        self._next_stage = len(self._stages) if given.is_retry else 0
        self._window: int | None = None
        self._retry_came = False

    @workflow.run
    async def run(self, given: FlowInput) -> dict[str, int]:
        """Return the number of children that completed, by stage."""
        return await self.perform(self._flow)

    async def _flow(self) -> dict[str, int]:
        completed = {stage.name: 0 for stage in self._stages}
        if self.given.is_retry:
            await self._await_retry()
        while True:
            await workflow.wait_condition(lambda: not self.paused)
            if self._selected:
                number = min(self._selected)
                section, children = self._sections[number], self._selected.pop(number)
                self._next_stage = min(self._next_stage, section.stage + 1)
            elif (following := await self._following()) is not None:
                section, children = following, None
            elif not self._selected:
                self.is_closing = True
                return completed
            else:
                continue
            result = await self._run_section(section, children)
            completed[self._stages[section.stage].name] += result.counts.completed

    async def _await_retry(self) -> None:
        try:
            await workflow.wait_condition(lambda: self._retry_came, timeout=WAIT_FOR_RETRY)
        except TimeoutError:
            workflow.logger.warning("Started to retry, but no retry came.")

    async def _following(self) -> Section | None:
        """Return the section that is next: the first stage's, or of what the stage before the next has let through."""
        if self._next_stage == 0:
            self._next_stage = 1
            return self._sections[0]
        while self._next_stage < len(self._stages):
            section: Section = await workflow.execute_activity(
                ADVANCE_ACTIVITY,
                WantedSection(self.given.batch_id, len(self._sections), self._next_stage),
                result_type=Section,
                start_to_close_timeout=ADVANCE_TIMEOUT,
                heartbeat_timeout=ADVANCE_HEARTBEAT_TIMEOUT,
                retry_policy=ADVANCE_RETRY,
                summary=f"to {self._stages[self._next_stage].name}",
            )
            self._next_stage += 1
            if section.items:
                self._sections.append(section)
                return section
        return None

    async def _run_section(self, section: Section, children: list[int] | None) -> FanOutResult:
        """Run a section, or some of its children again. Raises ChildWorkflowError where its policy was exceeded."""
        self._open = section.number, None
        self.running += 1
        outcome, failure = Status.COMPLETED, None
        handle: ChildWorkflowHandle[Any, FanOutResult] | None = None
        try:
            handle = await self._start(section, children)
            self._open = section.number, handle
            self.outbox.put(EventKind.STARTED, handle.id, handle.first_execution_run_id or "")
            self._report_window(self._window or self._stages[section.stage].plan.window)
            return await handle
        except FailureError as error:
            outcome, failure = outcome_of(error)
            raise
        except asyncio.CancelledError:
            outcome = Status.CANCELED
            raise
        finally:
            self._open = None
            self.running -= 1
            self.counts.add(outcome)
            if handle is not None:
                run_id = handle.first_execution_run_id or ""
                self.outbox.put(EventKind.CLOSED, handle.id, run_id, outcome=outcome, failure=failure)

    async def _start(self, section: Section, children: list[int] | None) -> ChildWorkflowHandle[Any, FanOutResult]:
        stage, tries = self._stages[section.stage], 0
        layout = self._layout(section)
        given = FanOutInput(
            *(self.given.batch_id, stage.plan, section.items, layout.child_range.start, layout.child_range.stop),
            children=children,
            window=self._window,
            label=f"{self.given.label}: {stage.name}",
            section=section.number,
            stage=section.stage,
            first_child=section.first_child,
            first_item=section.first_item,
        )
        while True:
            try:
                return await workflow.start_child_workflow(
                    FanOutWorkflow.run,
                    given,
                    id=stage_id(self.given.batch_id, section.number),
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    parent_close_policy=PARENT_CLOSE[stage.plan.parent_close],
                    cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
                    static_summary=stage.name,
                )
            except WorkflowAlreadyStartedError:
                await workflow.sleep(ID_TAKEN_PAUSES[min(tries, len(ID_TAKEN_PAUSES) - 1)])
                tries += 1

    def _layout(self, section: Section) -> Layout:
        plan = self._stages[section.stage].plan
        return Layout.of(plan, section.items, first_child=section.first_child, first_item=section.first_item)

    # What a person may do

    def forward(self, signal: str, *given: Any) -> None:
        """Tell the stage that is open; one that opens later is told by its input."""
        if self._open is not None and self._open[1] is not None:
            asyncio.create_task(self._tell(self._open[1], signal, *given))  # noqa: RUF006

    async def _tell(self, stage: ChildWorkflowHandle[Any, Any], signal: str, *given: Any) -> None:
        try:
            await stage.signal(signal, *given)
        except ApplicationError:
            workflow.logger.info("%s closed before it could be told to %s.", stage.id, signal)

    @workflow.signal
    def set_window(self, window: int) -> None:
        """Change how many children of the open stage, and of those to come, may be open."""
        self._window = max(1, window)
        self._report_window(self._window)
        self.forward("set_window", self._window)

    def _report_window(self, window: int) -> None:
        info = workflow.info()
        self.outbox.put(EventKind.WINDOW, info.workflow_id, info.run_id, window=window)

    @workflow.signal
    def skip(self) -> None:
        """Let a held stage go on without the children that failed."""
        self.forward("skip")

    @workflow.signal
    def finish(self) -> None:
        """End a held stage as it is."""
        self.forward("finish")

    @workflow.update
    def retry(self, request: RetryRequest) -> RetryAnswer:
        """Give children another attempt, once the stage that is open has closed; one in that stage is asked itself."""
        answer = RetryAnswer()
        for child in request.children:
            refusal = self._select(child)
            if refusal is None:
                answer.accepted.append(child)
            else:
                answer.refused[child] = refusal
        self._retry_came = True
        return answer

    def _select(self, child: int) -> str | None:
        number = next(each.number for each in self._sections if child in self._layout(each).child_range)
        if self._open is not None and self._open[0] == number:
            return PARTITION_OPEN
        chosen = self._selected.setdefault(number, [])
        if child in chosen:
            return ALREADY_RUNNING
        chosen.append(child)
        return None

    @retry.validator
    def _validate_retry(self, request: RetryRequest) -> None:
        if self.is_closing:
            raise ApplicationError("The parent is closing.", type=PARENT_CLOSING)
        known = [self._layout(section).child_range for section in self._sections]
        for child in request.children:
            if not any(child in each for each in known):
                raise ApplicationError(f"No such child: {child}.", type="NoSuchChild")
