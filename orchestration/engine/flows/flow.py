"""Flow: the kernel of parents with a flow of their own. Steps with rows in the tree, pause, approval, progress.

A parent that builds on it says only in which order its steps run. Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception
from temporalio.workflow import ActivityCancellationType

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind, NodeKind, Place, TreeEvent
    from orchestration.contracts.flows import FlowInput, StepInput
    from orchestration.contracts.messages import Decision, Progress
    from orchestration.contracts.names import RUN_STEP_ACTIVITY
    from orchestration.contracts.status import Counts, Failure, RunStatus, Status
    from orchestration.definitions.expressions import Missing, fill
    from orchestration.definitions.models import Work
    from orchestration.engine.approval import Approvals
    from orchestration.engine.chunk_execution import HEARTBEAT_TIMEOUT
    from orchestration.engine.outbox import LONG_FAREWELL, Outbox
    from orchestration.errors.failures import failure_of, outcome_of
    from orchestration.throughput import rate_and_eta

STEP_MARGIN = timedelta(seconds=10)
"""Beyond the step's own timeout, for a worker that is lost."""

STEP_FAILED = "StepFailed"

RESULT_SHOWN = 200
"""Characters of a result that its row shows."""

T = TypeVar("T")


class FlowParent:
    """What every parent with a flow of its own is.

    Signals: `pause`, `resume` (between steps), `decide` at an approval gate. Queries: `progress`, in steps, and
    `untold`. Ends when its flow does; ends canceled after what was running has stopped.
    """

    def __init__(self, given: FlowInput) -> None:
        self.given = given
        self.outbox = Outbox(given.batch_id, farewell=LONG_FAREWELL)
        self._paused = given.paused
        self.counts = Counts()
        self.running = 0
        self.done = dict(given.before.done)
        self.position = given.before.rows
        self._rounds = dict[str, int]()
        self._approvals = Approvals()
        self._opened_at = workflow.now()
        self._ended: tuple[RunStatus, datetime] | None = None
        self.is_closing = False

    async def perform(self, flow: Callable[[], Awaitable[T]]) -> T:
        """Run the flow, and report the root's start and how it ended."""
        self.outbox.open()
        self._report(EventKind.STARTED)
        try:
            result = await flow()
        except asyncio.CancelledError:
            await self._close(Status.CANCELED)
            raise
        except (FailureError, Missing) as error:
            if is_cancelled_exception(error):
                await self._close(Status.CANCELED)
                raise asyncio.CancelledError from error
            failure = failure_of(error)
            await self._close(Status.FAILED, failure)
            raise ApplicationError(failure.message, type=failure.type, non_retryable=True) from error
        await self._close(Status.COMPLETED)
        return result

    async def _close(self, outcome: Status, failure: Failure | None = None) -> None:
        self.is_closing, self._ended = True, (RunStatus(outcome.value), workflow.now())
        self._report(EventKind.CLOSED, outcome, failure)
        await self.outbox.close()

    def _report(self, kind: EventKind, outcome: Status | None = None, failure: Failure | None = None) -> None:
        info = workflow.info()
        self.outbox.put(kind, info.workflow_id, info.run_id, outcome=outcome, failure=failure)

    # Steps

    def node(self, name: str, above: str = "") -> str:
        """Return the id of a row by its name and the row above it."""
        parent = above or workflow.info().workflow_id
        return f"{parent}/{name}"

    def next_row(self, name: str, above: str = "") -> str:
        """Return the id of the row of a step that begins: numbered from the second round on."""
        plain = self.node(name, above)
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

        One that an earlier run of the flow had done is not done again: its result is returned.
        """
        await workflow.wait_condition(lambda: not self._paused)
        node = self.next_row(name, above)
        if node in self.done:
            before: T = self.done[node]
            return before
        return await self.as_row(node, work, kind=kind, above=above, label=label or name)

    async def as_row(
        self, node: str, work: Callable[[str], Awaitable[T]], *, kind: NodeKind, above: str, label: str
    ) -> T:
        """Do some work as a row with this id, and report how it ended. Raises what it raises."""
        self.position += 1
        parent = above or workflow.info().workflow_id
        place = Place(parent, kind, label, self.position, is_workflow=False)
        run_id = f"{workflow.info().run_id}/{self.position}"
        self.outbox.put(EventKind.STARTED, node, run_id, place=place)
        self.running += 1
        outcome, failure, said = Status.COMPLETED, None, ""
        try:
            self.done[node] = result = await work(node)
            said = brief(result)
            return result
        except asyncio.CancelledError:
            outcome = Status.CANCELED
            raise
        except FailureError as error:
            outcome, failure = outcome_of(error)
            raise
        except Missing as error:
            outcome, failure = Status.FAILED, failure_of(error)
            raise
        finally:
            self.running -= 1
            self.counts.add(outcome)
            self.outbox.put(EventKind.CLOSED, node, run_id, outcome=outcome, failure=failure, note=said)

    async def act(self, name: str, work: Work, results: dict[str, Any], *, once: str = "") -> Any:
        """Run one processor over one input, with the batch's attempts and timeout, and return its result as data.

        `once` is its idempotency key: by default one of its name in its workflow.
        """
        plan = self.given.plan
        given = StepInput(
            *(self.given.batch_id, name, work.processor, fill(work.parameters, results), fill(work.input, results)),
            idempotency_key=once or self.node(name),
        )
        try:
            return await workflow.execute_activity(
                RUN_STEP_ACTIVITY,
                given,
                result_type=object,
                task_queue=plan.task_queue,
                start_to_close_timeout=timedelta(seconds=plan.item_timeout) + STEP_MARGIN,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                retry_policy=RetryPolicy(
                    initial_interval=timedelta(seconds=plan.item_backoff or 0.001),
                    maximum_attempts=plan.item_attempts,
                    non_retryable_error_types=plan.non_retryable_types,
                ),
                summary=name,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from error
            if isinstance(error.cause, ApplicationError):
                raise error.cause from error
            raise

    def note(self, node: str, text: str) -> None:
        """Say at a row what it is doing."""
        self.outbox.put(EventKind.NOTE, node, "", note=text)

    # What a person may do

    async def approval(self, node: str, title: str, limit: timedelta) -> Decision | None:
        """Wait for a person's word; None when nobody gave one in time."""

        def report(kind: EventKind, note: str, until: datetime | None = None) -> None:
            self.moment(kind, note, node, until)

        return await self._approvals.ask(title, limit, report)

    def moment(self, kind: EventKind, note: str, node: str = "", until: datetime | None = None) -> None:
        """Report what belongs on the batch's time line."""
        info = workflow.info()
        self.outbox.put(kind, node or info.workflow_id, info.run_id, note=note, until=until)

    @workflow.signal
    def decide(self, decision: Decision) -> None:
        """Open the approval gate that waits, or refuse."""
        self._approvals.decide(decision)
        self.forward("decide", decision)

    @workflow.signal
    def pause(self) -> None:
        """Start no further step; those under way go on."""
        self._set_paused(True)

    @workflow.signal
    def resume(self) -> None:
        """Go on."""
        self._set_paused(False)

    def _set_paused(self, paused: bool) -> None:
        if self._paused is not paused:
            self._paused = paused
            self.forward("pause" if paused else "resume")
            self._report(EventKind.PAUSED if paused else EventKind.RESUMED)

    def forward(self, signal: str, *given: Any) -> None:
        """Tell what runs below of a signal; most flows have nothing below that takes any."""

    @property
    def paused(self) -> bool:
        """Whether nothing further may start."""
        return self._paused

    @workflow.query
    def untold(self) -> list[TreeEvent]:
        """Return the events of which nobody has said that they arrived."""
        return self.outbox.untold

    @workflow.query
    def progress(self) -> Progress:
        """Return how far this run is, in steps: those that have begun, and those to come where that is known."""
        begun, planned = self.running + self.counts.total, self.planned
        pending = max(0, planned - begun) if planned is not None else 0
        open_as = RunStatus.PAUSED if self._paused else RunStatus.RUNNING
        status, until = self._ended or (open_as, workflow.now())
        elapsed = (until - self._opened_at).total_seconds()
        is_running = status is RunStatus.RUNNING and planned is not None
        rate, eta = rate_and_eta(self.counts.total, pending + self.running, elapsed, is_running=is_running)
        return Progress(
            *(begun + pending, pending, self.running, self.counts, 0, self._paused), status=status, rate=rate, eta=eta
        )

    @property
    def planned(self) -> int | None:
        """How many steps there are before any has begun; None where only running it tells."""
        return None


def brief(result: Any) -> str:
    """Return what a row says of a result: its plain values by name, or the one that it is; nothing of what is large."""
    values = result if isinstance(result, dict) else {} if result is None else {"result": result}
    plain = [(name, value) for name, value in values.items() if value != "" and isinstance(value, str | int | float)]
    said = [f"{name}: {value:.4g}" if type(value) is float else f"{name}: {value}" for name, value in plain]
    return ", ".join(said)[:RESULT_SHOWN]


def failed_step(name: str, error: BaseException) -> ApplicationError:
    """Return a flow's error: which step failed, and why."""
    failure = failure_of(error)
    return ApplicationError(f"{name}: {failure.type}: {failure.message}", type=STEP_FAILED, non_retryable=True)
