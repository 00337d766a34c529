"""Sections: fan-outs within a flow, each a stage over some of the batch's items. Shared by pipelines and steps.

Workflow code: deterministic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, ChildWorkflowError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind
    from orchestration.contracts.fan_out import FanOutInput, FanOutResult
    from orchestration.contracts.flows import FlowInput, Section
    from orchestration.contracts.names import FAN_OUT_WORKFLOW, PARTITION_OPEN
    from orchestration.contracts.patches import PAUSE_HOLDS_HANDOFF
    from orchestration.contracts.status import REFUSED
    from orchestration.contracts.workflow_ids import stage_id
    from orchestration.definitions.models import Stage
    from orchestration.engine.child_handles import in_background, signal_if_open, start_when_id_is_free
    from orchestration.engine.flows.resumable import ResumableFlow
    from orchestration.engine.units.policies import PARENT_CLOSE
    from orchestration.plan.layout import Layout


class SectionFlow(ResumableFlow, ABC):
    """A flow with fan-outs in it.

    Signals: FlowParent's, and `set_window`, `skip`, `finish` for the stages that are open. Update: `retry`; for a
    child of an open stage the request goes to that stage.
    """

    def __init__(self, given: FlowInput, stages: Sequence[Stage]) -> None:
        super().__init__(given)
        self.stages = stages
        self.sections = {section.number: section for section in given.sections}
        self._open = dict[int, ChildWorkflowHandle[Any, FanOutResult] | None]()
        self._unapproved = set(given.unapproved)

    async def run_section(self, section: Section, children: list[int] | None, *, undo: bool = False) -> FanOutResult:
        """Run a section, or some of its children again, or undo those. Raises ChildWorkflowError where its policy was
        exceeded, and once they are undone.
        """
        given = self._fan_out_input(section, children, undo=undo)
        self._open[section.number] = None
        try:
            with self.node_run() as run:
                handle = await start_when_id_is_free(lambda: self._start(section, given))
                self._open[section.number] = handle
                run.started(handle.id, handle.first_execution_run_id)
                self._report_window(self.window or self.stages[section.stage].plan.window)
                result = await handle
                self._unapproved.discard(section.number)
                return result
        except ChildWorkflowError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.type == REFUSED:
                self._unapproved.add(section.number)
            raise
        finally:
            del self._open[section.number]

    def _fan_out_input(self, section: Section, children: list[int] | None, *, undo: bool) -> FanOutInput:
        stage, layout = self.stages[section.stage], self.layout(section)
        return FanOutInput(
            *(self.given.batch_id, stage.plan, section.items, layout.child_range.start, layout.child_range.stop),
            children=children,
            label=f"{self.given.label}: {stage.name}",
            section=section.number,
            stage=section.stage,
            first_child=section.first_child,
            first_item=section.first_item,
            undo=undo,
            approved=section.number not in self._unapproved,
        )

    async def _start(self, section: Section, given: FanOutInput) -> ChildWorkflowHandle[Any, FanOutResult]:
        """Start a stage as the flow is steered now: that may change while items are inserted, and while it starts."""
        stage, paused, window = self.stages[section.stage], self.paused, self.window
        handle = await self._start_child(section, stage, replace(given, paused=paused, window=window))
        if (self.paused, self.window) != (paused, window) and workflow.patched(PAUSE_HOLDS_HANDOFF):
            if self.paused is not paused:
                in_background(signal_if_open(handle, "pause" if self.paused else "resume"))
            if self.window != window:
                in_background(signal_if_open(handle, "set_window", self.window))
        return handle

    async def _start_child(
        self, section: Section, stage: Stage, given: FanOutInput
    ) -> ChildWorkflowHandle[Any, FanOutResult]:
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

    def layout(self, section: Section) -> Layout:
        """Return the tree of a section."""
        plan = self.stages[section.stage].plan
        return Layout.of(plan, section.items, first_child=section.first_child, first_item=section.first_item)

    # What a person may do

    def forward(self, signal: str, *given: Any) -> None:
        """Signal the stages that are open; one that opens later gets the same in its input."""
        for handle in self._open.values():
            if handle is not None:
                in_background(signal_if_open(handle, signal, *given))

    @workflow.signal
    def set_window(self, window: int) -> None:
        """Change how many children of the open stages, and of those to come, may be open."""
        self.window = max(1, window)
        self._report_window(self.window)
        self.forward("set_window", self.window)

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

    def has_child(self, child: int) -> bool:
        """Whether a section has such a child."""
        return any(child in self.layout(section).child_range for section in self.sections.values())

    def retry_child(self, child: int) -> str | None:
        """Have a child of a closed section run again, or return why not."""
        number = next(number for number, each in self.sections.items() if child in self.layout(each).child_range)
        return PARTITION_OPEN if number in self._open else self.select_for_retry(number, child)

    @abstractmethod
    def select_for_retry(self, number: int, child: int) -> str | None:
        """Select a child of a closed section to run again, or return why not."""
