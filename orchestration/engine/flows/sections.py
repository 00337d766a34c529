"""Sections: fan-outs within a flow, each a stage over some of the batch's items. What pipelines and steps share.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind
    from orchestration.contracts.fan_out import FanOutInput, FanOutResult
    from orchestration.contracts.flows import FlowInput, Section
    from orchestration.contracts.names import FAN_OUT_WORKFLOW, PARTITION_OPEN
    from orchestration.contracts.status import Status
    from orchestration.contracts.workflow_ids import stage_id
    from orchestration.definitions.models import Stage
    from orchestration.engine.flows.resumable import RetriedFlow
    from orchestration.engine.units.policies import ID_TAKEN_PAUSES, PARENT_CLOSE
    from orchestration.errors.failures import outcome_of
    from orchestration.plan.layout import Layout

GROW_TIMEOUT = timedelta(minutes=10)
GROW_HEARTBEAT_TIMEOUT = timedelta(seconds=15)
GROW_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=10)
"""Of the activities that write a section's items and children."""


class SectionFlow(RetriedFlow, ABC):
    """A flow with fan-outs in it.

    Signals: FlowParent's, and `set_window`, `skip`, `finish` for the stages that are open. Update: `retry`; a child of
    a stage that is open is asked for there.
    """

    def __init__(self, given: FlowInput, stages: Sequence[Stage]) -> None:
        super().__init__(given)
        self.stages = stages
        self.sections = {section.number: section for section in given.sections}
        self._open = dict[int, ChildWorkflowHandle[Any, FanOutResult] | None]()
        self._window: int | None = None

    async def run_section(self, section: Section, children: list[int] | None, *, undo: bool = False) -> FanOutResult:
        """Run a section, or some of its children again, or undo those. Raises ChildWorkflowError where its policy was
        exceeded, and once they are undone.
        """
        self._open[section.number] = None
        self.running += 1
        outcome, failure = Status.COMPLETED, None
        handle: ChildWorkflowHandle[Any, FanOutResult] | None = None
        try:
            handle = await self._start(section, children, undo=undo)
            self._open[section.number] = handle
            self.outbox.put(EventKind.STARTED, handle.id, handle.first_execution_run_id or "")
            self._report_window(self._window or self.stages[section.stage].plan.window)
            return await handle
        except FailureError as error:
            outcome, failure = outcome_of(error)
            raise
        except asyncio.CancelledError:
            outcome = Status.CANCELED
            raise
        finally:
            del self._open[section.number]
            self.running -= 1
            self.counts.add(outcome)
            if handle is not None:
                run_id = handle.first_execution_run_id or ""
                self.outbox.put(EventKind.CLOSED, handle.id, run_id, outcome=outcome, failure=failure)

    async def _start(
        self, section: Section, children: list[int] | None, *, undo: bool
    ) -> ChildWorkflowHandle[Any, FanOutResult]:
        stage, tries = self.stages[section.stage], 0
        layout = self.layout(section)
        given = FanOutInput(
            *(self.given.batch_id, stage.plan, section.items, layout.child_range.start, layout.child_range.stop),
            children=children,
            window=self._window,
            label=f"{self.given.label}: {stage.name}",
            section=section.number,
            stage=section.stage,
            first_child=section.first_child,
            first_item=section.first_item,
            undo=undo,
        )
        while True:
            try:
                return await workflow.start_child_workflow(
                    FAN_OUT_WORKFLOW,
                    given,
                    id=stage_id(self.given.batch_id, section.number),
                    result_type=FanOutResult,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    parent_close_policy=PARENT_CLOSE[stage.plan.parent_close],
                    cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
                    static_summary=stage.name,
                )
            except WorkflowAlreadyStartedError:
                await workflow.sleep(ID_TAKEN_PAUSES[min(tries, len(ID_TAKEN_PAUSES) - 1)])
                tries += 1

    def layout(self, section: Section) -> Layout:
        """Return the tree of a section."""
        plan = self.stages[section.stage].plan
        return Layout.of(plan, section.items, first_child=section.first_child, first_item=section.first_item)

    # What a person may do

    def forward(self, signal: str, *given: Any) -> None:
        """Tell the stages that are open; one that opens later is told by its input."""
        for handle in self._open.values():
            if handle is not None:
                asyncio.create_task(self._tell(handle, signal, *given))  # noqa: RUF006

    async def _tell(self, stage: ChildWorkflowHandle[Any, Any], signal: str, *given: Any) -> None:
        try:
            await stage.signal(signal, *given)
        except ApplicationError:
            workflow.logger.info("%s closed before it could be told to %s.", stage.id, signal)

    @workflow.signal
    def set_window(self, window: int) -> None:
        """Change how many children of the open stages, and of those to come, may be open."""
        self._window = max(1, window)
        self._report_window(self._window)
        self.forward("set_window", self._window)

    def _report_window(self, window: int) -> None:
        info = workflow.info()
        self.outbox.put(EventKind.WINDOW, info.workflow_id, info.run_id, window=window)

    @workflow.signal
    def skip(self) -> None:
        """Let held stages go on without the children that failed."""
        self.forward("skip")

    @workflow.signal
    def finish(self) -> None:
        """End held stages as they are."""
        self.forward("finish")

    def knows(self, child: int) -> bool:
        """Whether a section has such a child."""
        return any(child in self.layout(section).child_range for section in self.sections.values())

    def take(self, child: int) -> str | None:
        """Take on a child of a section that is closed, or return why not."""
        number = next(number for number, each in self.sections.items() if child in self.layout(each).child_range)
        return PARTITION_OPEN if number in self._open else self.select(number, child)

    @abstractmethod
    def select(self, number: int, child: int) -> str | None:
        """Take on a child of a closed section, or return why not."""
