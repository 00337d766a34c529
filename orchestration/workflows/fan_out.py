"""FanOutWorkflow: a fan-out, fan-in parent. The root of a batch and each partition of it alike."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts import (
        EventKind,
        Failure,
        FanOutInput,
        FanOutResult,
        Progress,
        RetryAnswer,
        RetryRequest,
        RunStatus,
        Status,
    )
    from orchestration.outbox import Outbox
    from orchestration.pace import pace
    from orchestration.plan import Layout, root_id
    from orchestration.supervisor import Supervisor
    from orchestration.units import units_of

WAIT_FOR_RETRY = timedelta(minutes=1)
"""A root that was started to retry gives up when its `retry` update does not come."""

PARENT_CLOSING = "ParentClosing"
"""Type of the error with which a parent that is about to close refuses a retry: start it again."""


@workflow.defn
class FanOutWorkflow:
    """Run the children of a batch or of a partition in a window and return their counts.

    Signals: `pause`, `resume`, `set_window`; `child_failures` comes from partitions when the plan has a failure limit.
    Update: `retry`. Query: `progress`. Ends when no child is open or pending; fails when the plan's failure limit was
    exceeded; ends canceled after all its children did.
    """

    @workflow.init
    def __init__(self, given: FanOutInput) -> None:
        self._given = given
        self._is_root = given.partition is None
        self._layout = Layout.of(given.plan, given.items)
        self._window = given.window or given.plan.window
        self._retry_came = False
        self._closing = False
        self._opened_at = workflow.now()
        self._closed: tuple[RunStatus, datetime] | None = None
        self._failures = self._failures_told = 0
        self._limit = given.plan.failure_limit(self._layout.children)
        self._outbox = Outbox(given.batch_id)
        self._units = units_of(given, self._count_failures)
        self._supervisor = Supervisor(
            self._units.first(),
            start=self._units.start,
            outbox=self._outbox,
            window=self._units.places(self._window),
            paused=given.paused,
            closed=self._units.closed,
        )
        self._units.supervisor = self._supervisor

    @workflow.run
    async def run(self, given: FanOutInput) -> FanOutResult:
        """Return the counts of the children that this run started or skipped."""
        self._outbox.open()
        self._report_self(EventKind.STARTED)
        reporter = asyncio.create_task(self._tell_failures())
        try:
            if self._is_root and given.children is not None:
                await self._await_retry()
            await self._supervisor.run()
        except asyncio.CancelledError:
            await self._close(Status.CANCELED)
            raise
        finally:
            reporter.cancel()
        if self._supervisor.stop_reason is not None:
            failure = Failure("FailurePolicyExceeded", self._supervisor.stop_reason)
            await self._close(Status.FAILED, failure)
            raise ApplicationError(failure.message, type=failure.type, non_retryable=True)
        await self._close(Status.COMPLETED)
        return self._units.result()

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
        """Report the root itself; a partition is reported by the root."""
        if self._is_root:
            info = workflow.info()
            window = self._window if kind is EventKind.WINDOW else None
            self._outbox.put(kind, info.workflow_id, info.run_id, outcome=outcome, failure=failure, window=window)

    # The failure limit is the batch's: partitions tell the root, and the root stops.

    def _count_failures(self, number: int) -> None:
        self._failures += number
        if self._is_root and self._limit is not None and self._failures > self._limit:
            total = self._layout.children
            self._supervisor.stop(f"{self._failures:,} of {total:,} children failed, {self._limit:,} tolerated.")

    async def _tell_failures(self) -> None:
        if self._is_root or self._limit is None:
            return
        root = workflow.get_external_workflow_handle(root_id(self._given.batch_id))
        while True:
            await workflow.wait_condition(lambda: self._failures != self._failures_told)
            number = self._failures - self._failures_told
            self._failures_told = self._failures
            await root.signal(FanOutWorkflow.child_failures, number)

    @workflow.signal
    def child_failures(self, number: int) -> None:
        """Count children that failed in a partition; fewer than none where failed ones were retried."""
        self._count_failures(number)

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

    @workflow.query
    def progress(self) -> Progress:
        """Return how far this run is, in its direct children."""
        supervisor = self._supervisor
        pending, running = supervisor.pending, len(supervisor.open)
        done = len(supervisor.outcomes)
        status, until = self._closed or (self._open_status(), workflow.now())
        elapsed = (until - self._opened_at).total_seconds()
        rate, eta = pace(done, pending + running, elapsed, is_running=status is RunStatus.RUNNING)
        total, window, paused = pending + running + done, self._window, supervisor.paused
        return Progress(total, pending, running, supervisor.counts, window, paused, status, rate, eta)

    def _open_status(self) -> RunStatus:
        if self._supervisor.stop_reason is not None:
            return RunStatus.STOPPING
        return RunStatus.PAUSED if self._supervisor.paused else RunStatus.RUNNING

    @workflow.update
    def retry(self, request: RetryRequest) -> RetryAnswer:
        """Give children another attempt: at once when there is a place in the window."""
        answer = RetryAnswer()
        for child in request.children:
            refusal = self._units.retry(child)
            if refusal is None:
                answer.accepted.append(child)
            else:
                answer.refused[child] = refusal
        if self._given.children is not None and not self._retry_came:
            self._limit = self._given.plan.failure_limit(len(answer.accepted))
        self._retry_came = True
        return answer

    @retry.validator
    def _validate_retry(self, request: RetryRequest) -> None:
        if self._closing or self._supervisor.stop_reason is not None:
            raise ApplicationError("The parent is closing.", type=PARENT_CLOSING)
        outside = [child for child in request.children if not 0 <= child < self._layout.children]
        if outside:
            raise ApplicationError(f"No such child: {outside[0]}.", type="NoSuchChild")
