"""Flow: the base of parents with a flow of their own. Steps with rows in the tree, pause, approval, progress.

A subclass only determines in which order its steps run. Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind, NodeKind, Place
    from orchestration.contracts.flows import FlowInput, StepInput
    from orchestration.contracts.messages import Decision, Progress
    from orchestration.contracts.status import Counts, Failure, RunStatus, Status
    from orchestration.contracts.step_results import result_note
    from orchestration.definitions.expressions import Missing
    from orchestration.definitions.parts import Work
    from orchestration.engine.cancellation import is_canceled, stop_if_canceled
    from orchestration.engine.flows.bounds import bounded, check_input
    from orchestration.engine.flows.kept_results import KeptResults
    from orchestration.engine.flows.step_activity import run_step
    from orchestration.engine.flows.task_room import TaskRoom
    from orchestration.engine.node_run import NodeRun
    from orchestration.engine.outbox import LONG_CLOSE_TIMEOUT, Outbox
    from orchestration.engine.parent import Parent
    from orchestration.errors.failures import failure_of

STEP_FAILED = "StepFailed"

CANCELED_BELOW = Failure("Canceled", "A step was canceled outside Canopy.")

T = TypeVar("T")


class FlowParent(Parent):
    """Base of the parents that run steps of their own.

    Signals: `pause`, `resume` (between steps), `decide` at an approval gate. Queries: `progress`, in steps, and
    `untold`. Ends when its flow does; ends canceled after what was running has stopped.
    """

    def __init__(self, given: FlowInput) -> None:
        super().__init__(Outbox(given.batch_id, close_timeout=LONG_CLOSE_TIMEOUT))
        self.given = given
        self._paused = given.paused
        self.counts = Counts()
        self.running = 0
        self.done = dict(given.before.done)
        self.position = given.before.rows
        self._rounds = dict[str, int]()
        self._passes_pause = False
        self.task_room = TaskRoom()
        self.kept_results = KeptResults(self.done.values())
        self.is_closing = False

    async def run_flow(self, flow: Callable[[], Awaitable[T]]) -> T:
        """Run the flow, and report the root's start and how it ended."""
        self.outbox.open()
        self._report(EventKind.STARTED)
        try:
            result = await flow()
        except (FailureError, Missing, asyncio.CancelledError) as error:
            if is_cancelled_exception(error) and is_canceled():
                await self._close(Status.CANCELED)
                raise asyncio.CancelledError from error
            failure = CANCELED_BELOW if isinstance(error, asyncio.CancelledError) else failure_of(error)
            await self._close(Status.FAILED, failure)
            raise ApplicationError(failure.message, type=failure.type, non_retryable=True) from error
        result = bounded(result)
        await self._close(Status.COMPLETED)
        return result

    async def _close(self, outcome: Status, failure: Failure | None = None) -> None:
        self.is_closing = True
        self._clock.close(outcome)
        self._report(EventKind.CLOSED, outcome, failure)
        await self.outbox.close()

    def _report(self, kind: EventKind, outcome: Status | None = None, failure: Failure | None = None) -> None:
        info = workflow.info()
        self.outbox.put(kind, info.workflow_id, info.run_id, outcome=outcome, failure=failure)

    # Steps

    def node_id(self, name: str, above: str = "") -> str:
        """Return the id of a row by its name and the row above it."""
        parent = above or workflow.info().workflow_id
        return f"{parent}/{name}"

    def next_row_id(self, name: str, above: str = "") -> str:
        """Return the id of the row of a step that starts: numbered from the second round on."""
        plain = self.node_id(name, above)
        self._rounds[plain] = self._rounds.get(plain, 0) + 1
        return plain if self._rounds[plain] == 1 else f"{plain}.{self._rounds[plain]}"

    async def step(
        self,
        name: str,
        work: Callable[[str], Awaitable[T]],
        *,
        kind: NodeKind = NodeKind.STEP,
        above: str = "",
        label: str = "",
    ) -> T:
        """Run one step as a row below `above` (or the root): `work` gets the row's id. Raises what it raises.

        A step that an earlier run of the flow has completed is not run again: its result is returned. Cancellation is
        raised before a step starts, and after one that ended in spite of it.
        """
        await self.may_start()
        node = self.next_row_id(name, above)
        if node in self.done:
            before: T = self.done[node]
            return before
        result = await self.run_as_row(node, work, kind=kind, above=above, label=label or name)
        stop_if_canceled()
        return result

    async def may_start(self) -> None:
        """Wait while the flow is paused. Raises asyncio.CancelledError once it is canceled."""
        await workflow.wait_condition(lambda: not self._paused or self._passes_pause)
        stop_if_canceled()

    def pass_pause(self) -> None:
        """Let what cleans up after a cancellation go on although the flow is paused."""
        self._passes_pause = True

    async def run_as_row(
        self, node: str, work: Callable[[str], Awaitable[T]], *, kind: NodeKind, above: str, label: str
    ) -> T:
        """Do some work as a row with this id, and report how it ended. Raises what it raises."""
        self.position += 1
        parent = above or workflow.info().workflow_id
        place = Place(parent, kind, label, self.position, is_workflow=False)
        with self.node_run() as run:
            run.started(node, f"{workflow.info().run_id}/{self.position}", place)
            self.done[node] = result = await work(node)
            run.note = result_note(result)
            return result

    @contextmanager
    def node_run(self) -> Iterator[NodeRun]:
        """Report what the block does as a run of a node; count it as running, and then by its outcome."""
        self.running += 1
        run = NodeRun(self.outbox)
        try:
            with run:
                yield run
        finally:
            self.running -= 1
            self.counts.add(run.outcome)

    async def run_processor(
        self, name: str, work: Work, results: dict[str, Any], *, idempotency_key: str = "", row: str = ""
    ) -> Any:
        """Run one processor over one input, with the batch's attempts and timeout, and return its result as data.

        A large result is a reference to the store, where it is that of the step's row. Row and idempotency key are by
        default made of the workflow's id and the name.
        """
        step = StepInput(
            *(self.given.batch_id, name, work.processor, dict(work.parameters), dict(work.input)),
            idempotency_key=idempotency_key or self.node_id(name),
        )
        step = self.kept_results.step_over(results, step, row or self.node_id(name))
        await self.task_room.take(check_input(name, step))
        result = await run_step(step, self.given.plan)
        self.kept_results.add(result)
        return result

    def note(self, node: str, text: str) -> None:
        """Report what a row is doing."""
        self.outbox.put(EventKind.NOTE, node, "", note=text)

    # What a person may do

    async def await_approval(self, node: str, title: str, limit: timedelta) -> Decision | None:
        """Wait for a person's decision; None when there is none in time."""

        def report(kind: EventKind, note: str, until: datetime | None = None) -> None:
            self.report_on_timeline(kind, note, node, until)

        return await self._approvals.request(title, limit, report)

    def report_on_timeline(self, kind: EventKind, note: str, node: str = "", until: datetime | None = None) -> None:
        """Report an event of the batch's timeline."""
        info = workflow.info()
        self.outbox.put(kind, node or info.workflow_id, info.run_id, note=note, until=until)

    @workflow.signal
    def decide(self, decision: Decision) -> None:
        """Open the approval gate that waits, or refuse."""
        self._approvals.decide(decision)
        self.forward("decide", decision)

    def _set_paused(self, paused: bool) -> None:
        if self._paused is not paused:
            self._paused = paused
            self.forward("pause" if paused else "resume")
            self._report(EventKind.PAUSED if paused else EventKind.RESUMED)

    def forward(self, signal: str, *given: Any) -> None:
        """Forward a signal to what runs below; most flows have nothing below that takes one."""

    @property
    def paused(self) -> bool:
        """Whether nothing further may start."""
        return self._paused

    @workflow.query
    def progress(self) -> Progress:
        """Return how far this run is, in steps: those that have started, and the others where these are known."""
        started, planned = self.running + self.counts.total, self.planned
        pending = max(0, planned - started) if planned is not None else 0
        open_as = RunStatus.PAUSED if self._paused else RunStatus.RUNNING
        left = pending + self.running
        status, rate, eta = self._clock.pace(self.counts.total, left, open_as, is_planned=planned is not None)
        return Progress(
            *(started + pending, pending, self.running, self.counts, 0, self._paused), status=status, rate=rate, eta=eta
        )

    @property
    def planned(self) -> int | None:
        """How many steps there will be; None where that only turns out as they run."""
        return None


def failed_step(name: str, error: BaseException) -> ApplicationError:
    """Return the error with which a flow fails: which step failed, and why."""
    failure = failure_of(error)
    return ApplicationError(f"{name}: {failure.type}: {failure.message}", type=STEP_FAILED, non_retryable=True)
