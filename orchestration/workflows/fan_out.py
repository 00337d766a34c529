"""FanOutWorkflow: a fan-out, fan-in parent. The root of a batch and each partition of it alike."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind, TreeEvent
    from orchestration.contracts.fan_out import FanOutInput, FanOutResult, SummariseInput
    from orchestration.contracts.long_lived import WorkerReport
    from orchestration.contracts.messages import ChildrenAnswer, ChildrenRequest, Decision, Progress
    from orchestration.contracts.names import PARENT_CLOSING, SUMMARISE_ACTIVITY
    from orchestration.contracts.status import ROLLED_BACK, Failure, RunStatus, Status
    from orchestration.engine.admission import gates_of
    from orchestration.engine.approval import Approvals, verdict
    from orchestration.engine.flows.resumable import WAIT_FOR_RETRY
    from orchestration.engine.hold import Hold
    from orchestration.engine.outbox import Outbox
    from orchestration.engine.supervisor import Supervisor
    from orchestration.engine.units.factory import Units, units_of
    from orchestration.engine.units.partitions import Partitions
    from orchestration.plan.options import OnThreshold
    from orchestration.throughput import rate_and_eta

SUMMARISE_TIMEOUT = timedelta(minutes=5)
SUMMARISE_RETRY = RetryPolicy(maximum_attempts=3)

GATHER_IN_PARTITIONS = timedelta(seconds=1)
"""Thousands of children may be shown a second later, and cost their parents less than an event each for that."""
REFUSED = "Refused"
POLICY_EXCEEDED = "FailurePolicyExceeded"

RETRIED = "Failed children were retried, or left out."


@workflow.defn
class FanOutWorkflow:
    """Run the children of a batch or of a partition in a window and return their counts.

    Signals: `pause`, `resume`, `set_window`; `decide` at an approval gate; `skip` and `finish` on a held batch; `stop`
    from the root to its partitions, and back `child_failures` when the plan has a failure limit; `handed_back` from the
    workers of its pool. Updates: `retry`, `skip_children`. Queries: `progress`, `untold`.

    Ends when no child is open or pending and nobody holds it; fails when the plan's failure limit was exceeded; ends
    canceled after all its children did.
    """

    @workflow.init
    def __init__(self, given: FanOutInput) -> None:
        self._given = given
        self._window = given.window or given.plan.window
        self._retry_came = False
        self._closing = False
        self._approvals = Approvals()
        self._opened_at = workflow.now()
        self._closed: tuple[RunStatus, datetime] | None = None
        self._failures = given.cursor.counts.failures if given.cursor else 0
        self._failures_told = 0
        self._limit = given.plan.failure_limit(len(given.children or ()) or given.layout.children)
        self._outbox = Outbox(given.batch_id, timedelta(0) if given.is_head else GATHER_IN_PARTITIONS)
        self._hold = Hold(timedelta(seconds=given.plan.hold_timeout), self._hold_changed)
        self._units = units_of(given, self._count_failures)
        self._supervisor = self._supervise(self._units, given)

    def _supervise(self, units: Units, given: FanOutInput) -> Supervisor:
        is_parent = not isinstance(units, Partitions)
        supervisor = Supervisor(
            units.first(),
            units,
            outbox=self._outbox,
            window=units.places(self._window),
            paused=given.paused,
            gates=gates_of(given.plan, self._report_moment, given.breaker) if is_parent and not given.roll_back else (),
        )
        units.supervisor = supervisor
        return supervisor

    @workflow.run
    async def run(self, given: FanOutInput) -> FanOutResult:
        """Return the counts of the children that this run started or skipped."""
        self._outbox.open()
        if not self._is_continued:
            self._report_self(EventKind.STARTED)
        reporter = asyncio.create_task(self._tell_failures())
        try:
            if given.is_root and given.children is not None and not given.undo:
                await self._await_retry()
            failure = await self._undone() if given.undo else await self._refusal()
            if failure is None:
                await self._units.prepare()
                await self._run_until_released()
                await self._go_on_in_a_new_run()
                if not self._has_told_failures():
                    await workflow.wait_condition(self._has_told_failures)
                await self._units.close()
                failure = await self._failure()
        except asyncio.CancelledError:
            await self._units.close()
            await self._close(Status.CANCELED)
            raise
        finally:
            reporter.cancel()
        await self._summarise(failure)
        if failure is not None:
            await self._close(Status.FAILED, failure)
            raise ApplicationError(failure.message, type=failure.type, non_retryable=True)
        await self._close(Status.COMPLETED)
        return self._units.result()

    async def _refusal(self) -> Failure | None:
        """Wait for approval where the plan asks for it; return why nothing may start if nothing may."""
        plan = self._given.plan
        is_first = self._given.children is None and not self._is_continued
        if not (plan.approval and self._given.is_head and is_first):
            return None
        limit = timedelta(seconds=plan.approval_timeout)
        decision = await self._approvals.ask("Starts nothing until somebody approves.", limit, self._report_moment)
        approved = decision is not None and decision.approved
        return None if approved else Failure(REFUSED, verdict(decision))

    async def _run_until_released(self) -> None:
        """Run what there is; where failures are left and the plan says so, wait for a person, who may add to it."""
        while True:
            await self._supervisor.run()
            if self._given.is_head and not self._hold and self._must_hold_at_end():
                failed = self._units.result().counts.failures
                self._hold.begin(f"{failed:,} of {self._units.layout.children:,} children failed.")
            if not self._hold:
                return
            await workflow.wait_condition(lambda: not self._hold)

    def _must_hold_at_end(self) -> bool:
        is_to_go_on = self._units.cursor is not None
        is_over = self._supervisor.stop_reason is not None or self._hold.is_settled or is_to_go_on
        return self._given.plan.hold_at_end and not is_over and self._units.result().counts.failures > 0

    @property
    def _is_continued(self) -> bool:
        """Whether this run goes on where another one of the same start left off."""
        return workflow.info().continued_run_id is not None

    async def _go_on_in_a_new_run(self) -> None:
        """Continue as new where the input has not been read to its end, and nothing has stopped the batch."""
        if self._units.cursor is None or self._supervisor.stop_reason is not None:
            return
        self._closing = True
        pages = f"{self._units.cursor.pages:,} pages, {self._units.cursor.items:,} items"
        self._report_moment(EventKind.CONTINUED, f"A new run goes on after {pages}.")
        await self._outbox.close()
        await workflow.wait_condition(workflow.all_handlers_finished)
        cursor = self._units.cursor
        workflow.continue_as_new(
            replace(
                self._given,
                items=cursor.items,
                cursor=cursor,
                window=self._window,
                paused=self._supervisor.paused,
                breaker=self._units.result().breaker,
            )
        )

    async def _failure(self) -> Failure | None:
        """Return why the parent fails, if it does, after what had completed was rolled back if the plan says so."""
        reason = self._supervisor.stop_reason
        if reason is None or not self._given.is_head:
            return None
        if self._given.plan.on_threshold is not OnThreshold.ROLL_BACK:
            return Failure(POLICY_EXCEEDED, reason)
        return Failure(ROLLED_BACK, f"{reason} {await self._roll_back(self._units.to_undo())}")

    async def _undone(self) -> Failure:
        """Undo the children that this was started for, and say so as the failure that a root rolled back ends with."""
        return Failure(ROLLED_BACK, await self._roll_back(self._given.children or []))

    async def _roll_back(self, children: list[int]) -> str:
        """Undo children, and say what became of that."""
        if not children:
            return "Nothing had completed, so there was nothing to roll back."
        self._report_moment(EventKind.ROLLING_BACK, f"{len(children):,} children are undone.")
        items = self._units.layout.items
        undo = replace(
            self._given,
            items=items,
            children=children,
            roll_back=True,
            undo=False,
            window=self._window,
            paused=False,
        )
        units = units_of(undo, lambda number: None)
        self._units, self._supervisor = units, self._supervise(units, undo)
        await self._supervisor.run()
        counts = units.result().counts
        failed = f" {counts.unfinished:,} rollbacks failed." if counts.unfinished else ""
        return f"{counts.completed:,} children were rolled back.{failed}"

    async def _summarise(self, failure: Failure | None) -> None:
        """Have a report written where the plan asks for one. A report that fails is no reason for a batch to fail."""
        if not (self._given.is_root and self._given.plan.summarise):
            return
        outcome, reason = (Status.FAILED, failure.message) if failure else (Status.COMPLETED, "")
        run_id, counts = workflow.info().first_execution_run_id, self._units.result().counts
        try:
            await workflow.execute_activity(
                SUMMARISE_ACTIVITY,
                SummariseInput(self._given.batch_id, run_id, outcome, reason, counts),
                start_to_close_timeout=SUMMARISE_TIMEOUT,
                retry_policy=SUMMARISE_RETRY,
            )
        except ActivityError as error:
            workflow.logger.warning("No report: %s", error.cause)

    async def _await_retry(self) -> None:
        try:
            await workflow.wait_condition(lambda: self._retry_came, timeout=WAIT_FOR_RETRY)
        except TimeoutError:
            workflow.logger.warning("Started to retry, but no retry came.")

    async def _close(self, outcome: Status, failure: Failure | None = None) -> None:
        self._closing = True
        self._closed = RunStatus(outcome), workflow.now()
        self._report_self(EventKind.CLOSED, outcome, failure)
        await self._outbox.close()

    def _report_self(self, kind: EventKind, outcome: Status | None = None, failure: Failure | None = None) -> None:
        """Report the root itself, all runs of a start as one; others are reported by their parent."""
        if self._given.is_root:
            name, run_id = workflow.info().workflow_id, workflow.info().first_execution_run_id
            window = self._window if kind is EventKind.WINDOW else None
            self._outbox.put(kind, name, run_id, outcome=outcome, failure=failure, window=window)

    def _report_moment(self, kind: EventKind, note: str, until: datetime | None = None) -> None:
        """Report what belongs on the batch's time line."""
        info = workflow.info()
        self._outbox.put(
            kind, info.workflow_id, info.first_execution_run_id, note=note, until=until or self._hold.until
        )

    # The failure limit is that of the root or stage: partitions tell it, and it stops.

    def _count_failures(self, number: int) -> None:
        self._failures += number
        if not self._given.is_head:
            return
        if number < 0:
            if self._hold:
                self._hold.end(RETRIED)
        elif self._limit is not None and self._failures > self._limit:
            self._exceed(
                f"{self._failures:,} of {self._units.layout.children:,} children failed, {self._limit:,} tolerated."
            )

    def _exceed(self, reason: str) -> None:
        if self._given.plan.on_threshold is not OnThreshold.HOLD:
            self._supervisor.stop(reason)
        elif not self._hold.is_settled:
            self._hold.begin(reason)

    def _has_told_failures(self) -> bool:
        """Whether the parent knows of every failure here: a partition does not close before."""
        return self._given.is_head or self._limit is None or self._failures == self._failures_told

    async def _tell_failures(self) -> None:
        parent_info = workflow.info().parent
        if self._given.is_head or self._limit is None or parent_info is None:
            return
        parent = workflow.get_external_workflow_handle(parent_info.workflow_id)
        while True:
            await workflow.wait_condition(lambda: self._failures != self._failures_told)
            number = self._failures - self._failures_told
            await parent.signal(FanOutWorkflow.child_failures, number)
            self._failures_told += number

    @workflow.signal
    def child_failures(self, number: int) -> None:
        """Count children that failed in a partition; fewer than none where failed ones were retried."""
        self._count_failures(number)

    @workflow.signal
    def handed_back(self, outcome: WorkerReport) -> None:
        """Take in what a worker of its pool says."""
        self._units.handed_back(outcome)

    @workflow.signal
    def stop(self) -> None:
        """Stop at the root's word: cancel what is open, skip what is pending, and return what had completed."""
        self._supervisor.stop("The batch stops.")

    # What a person may do

    @workflow.signal
    def pause(self) -> None:
        """Start no more children; open ones go on."""
        self._set_paused(True)

    @workflow.signal
    def resume(self) -> None:
        """Start children again."""
        self._set_paused(False)

    def _set_paused(self, paused: bool) -> None:
        if self._supervisor.paused is not paused:
            self._supervisor.paused = paused
            self._report_self(EventKind.PAUSED if paused else EventKind.RESUMED)
            self._units.steer(self._window)

    @workflow.signal
    def set_window(self, window: int) -> None:
        """Change how many children may be open; those over it are not disturbed."""
        self._window = max(1, window)
        self._supervisor.window = self._units.places(self._window)
        self._report_self(EventKind.WINDOW)
        self._units.steer(self._window)

    @workflow.signal
    def decide(self, decision: Decision) -> None:
        """Open the approval gate, or refuse. The first decision counts."""
        self._approvals.decide(decision)

    def _hold_changed(self, note: str) -> None:
        if self._hold.is_settled:
            self._units.finish()
        self._supervisor.held = bool(self._hold)
        self._report_moment(EventKind.HELD if self._hold else EventKind.RELEASED, note)
        self._units.steer(self._window)

    @workflow.signal
    def skip(self) -> None:
        """Go on without the children that failed: they count as skipped. Ends a hold."""
        self._failures -= self._units.forgive()
        if self._hold:
            self._hold.end("Skipped what had failed.")

    @workflow.signal
    def finish(self) -> None:
        """End a held batch as it is: what is pending is skipped, what is open is awaited."""
        if not self._given.is_head:
            self._units.finish()
        elif self._hold:
            self._hold.settle("Finished by the operator.")

    @workflow.query
    def untold(self) -> list[TreeEvent]:
        """Return the events of which nobody has said that they arrived."""
        return self._outbox.untold

    @workflow.query
    def progress(self) -> Progress:
        """Return how far this run is, in its direct children."""
        supervisor = self._supervisor
        pending, running = supervisor.pending, len(supervisor.open)
        done = len(supervisor.outcomes)
        status, until = self._closed or (self._open_status(), workflow.now())
        elapsed = (until - self._opened_at).total_seconds()
        rate, eta = rate_and_eta(done, pending + running, elapsed, is_running=status is RunStatus.RUNNING)
        total, window, paused = pending + running + done, self._window, supervisor.paused
        return Progress(
            *(total, pending, running, supervisor.counts, window, paused),
            held=self._hold.reason,
            held_until=self._hold.until,
            status=status,
            rate=rate,
            eta=eta,
        )

    def _open_status(self) -> RunStatus:
        if self._supervisor.stop_reason is not None:
            return RunStatus.STOPPING
        return RunStatus.PAUSED if self._supervisor.paused else RunStatus.RUNNING

    @workflow.update
    def retry(self, request: ChildrenRequest) -> ChildrenAnswer:
        """Give children another attempt: at once when there is a place in the window."""
        answer = ChildrenAnswer.of(request, self._units.retry)
        if self._given.is_root and self._given.children is not None and not self._retry_came:
            self._limit = self._given.plan.failure_limit(len(answer.accepted))
        self._retry_came = True
        if self._hold and answer.accepted:
            self._hold.end(RETRIED)
        return answer

    @workflow.update
    def skip_children(self, request: ChildrenRequest) -> ChildrenAnswer:
        """Go on without children: pending ones are not started, failed ones count as skipped."""
        before = self._units.result().counts.failures
        answer = ChildrenAnswer.of(request, self._units.skip)
        if (fewer := self._units.result().counts.failures - before) < 0:
            self._count_failures(fewer)
        return answer

    @retry.validator
    def _validate_retry(self, request: ChildrenRequest) -> None:
        self._must_take(request)

    @skip_children.validator
    def _validate_skip(self, request: ChildrenRequest) -> None:
        if self._given.undo:
            raise ApplicationError("The parent undoes.", type=PARENT_CLOSING)
        self._must_take(request)

    def _must_take(self, request: ChildrenRequest) -> None:
        if self._closing or self._supervisor.stop_reason is not None:
            raise ApplicationError("The parent is closing.", type=PARENT_CLOSING)
        outside = [child for child in request.children if child not in self._units.layout.child_range]
        if outside:
            raise ApplicationError(f"No such child: {outside[0]}.", type="NoSuchChild")
