"""PipelineWorkflow: stages in order, each a fan-out over the items that completed in the stage before."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.carried import whole
    from orchestration.contracts.flows import FlowInput, Section, SectionRequest
    from orchestration.contracts.messages import MOST_CHILDREN
    from orchestration.contracts.names import ADVANCE_ACTIVITY
    from orchestration.contracts.status import ROLLED_BACK
    from orchestration.definitions.models import Pipeline
    from orchestration.engine.flows.sections import SectionFlow
    from orchestration.engine.item_inserts import insert_items
    from orchestration.engine.retry import TOO_MANY
    from orchestration.engine.units.policies import ALREADY_RUNNING
    from orchestration.errors.failures import failure_of


@workflow.defn
class PipelineWorkflow(SectionFlow):
    """Run the stages of a pipeline, one after another, and return how many children of each completed.

    Signals, update: SectionFlow's; what completes in a retry goes through the later stages as a section of its own.
    Query: `progress`, in sections. Ends when no stage has anything left to do; fails when a stage's failure limit was
    exceeded. One that is started to undo rolls the named children back, and fails as rolled back.
    """

    @workflow.init
    def __init__(self, given: FlowInput) -> None:
        super().__init__(given, Pipeline.model_validate(whole(given.definition)).stages)
        self._selected = dict[int, dict[int, None]]()
        self._next_stage = len(self.stages) if given.is_retry else 0

    @workflow.run
    async def run(self, given: FlowInput) -> dict[str, int]:
        """Return the number of children that completed, by stage."""
        return await self.run_flow(self._flow)

    @property
    def planned(self) -> int:
        """The number of stages; the sections of retries come on top."""
        return len(self.stages)

    async def _flow(self) -> dict[str, int]:
        completed = {stage.name: 0 for stage in self.stages}
        if self.given.undo:
            raise ApplicationError(await self._undo(), type=ROLLED_BACK, non_retryable=True)
        if self.given.is_retry:
            await self.await_retry()
        while True:
            await self.may_start()
            if self._selected:
                number = min(self._selected)
                section, children = self.sections[number], [*self._selected.pop(number)]
                self._next_stage = min(self._next_stage, section.stage + 1)
            elif (following := await self._next_section()) is not None:
                section, children = following, None
            elif not self._selected:
                self.is_closing = True
                return completed
            else:
                continue
            result = await self.run_section(section, children)
            completed[self.stages[section.stage].name] += result.counts.completed

    async def _undo(self) -> str:
        """Undo the children of sections, the last section first, and return what came of that in words."""
        reports = list[str]()
        for number, children in sorted(self.given.undo.items(), reverse=True):
            section = self.sections[number]
            try:
                await self.run_section(section, children, undo=True)
            except FailureError as error:
                if is_cancelled_exception(error):
                    raise
                reports.append(f"{self.stages[section.stage].name}: {failure_of(error).message}")
        return " ".join(reports)

    async def _next_section(self) -> Section | None:
        """Return the next section: the first stage's, or one of the items that completed in the stage before."""
        if self._next_stage == 0:
            self._next_stage = 1
            return self.sections[0]
        while self._next_stage < len(self.stages):
            wanted = SectionRequest(self.given.batch_id, len(self.sections), self._next_stage)
            summary = f"to {self.stages[self._next_stage].name}"
            section = await insert_items(ADVANCE_ACTIVITY, wanted, Section, summary=summary)
            self._next_stage += 1
            if section.items:
                self.sections[section.number] = section
                return section
        return None

    def select_for_retry(self, number: int, child: int) -> str | None:
        """Select a child to run again once the stage that is open has closed."""
        selected = self._selected.setdefault(number, {})
        if child in selected:
            return ALREADY_RUNNING
        if len(selected) >= MOST_CHILDREN:
            return TOO_MANY
        selected[child] = None
        return None
