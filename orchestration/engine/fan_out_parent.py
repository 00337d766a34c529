"""FanOutParent: the state of a fan-out parent, what it reports, and what a person may do to it while it runs.

Workflow code: deterministic.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind
    from orchestration.contracts.fan_out import FanOutInput
    from orchestration.contracts.long_lived import WorkerReport
    from orchestration.contracts.messages import ChildrenAnswer, ChildrenRequest, Decision, Progress
    from orchestration.contracts.names import (
        CHILD_FAILURES_SIGNAL,
        RETRY_UPDATE,
        SKIP_CHILDREN_UPDATE,
        WORKER_REPORT_SIGNAL,
    )
    from orchestration.contracts.status import Failure, RunStatus, Status
    from orchestration.engine.admission import admission_rules
    from orchestration.engine.attempt import attempt_id
    from orchestration.engine.failure_limit import FailureLimit
    from orchestration.engine.hold import Hold
    from orchestration.engine.outbox import Outbox
    from orchestration.engine.parent import ChildrenUpdate, Parent
    from orchestration.engine.retry import validate_request
    from orchestration.engine.supervisor import Supervisor
    from orchestration.engine.units.factory import Units, units_of
    from orchestration.engine.units.partitions import Partitions
    from orchestration.plan.choices import OnThreshold

DEBOUNCE_IN_PARTITIONS = timedelta(seconds=1)
"""Events of thousands of children reach the dashboard up to a second later, in fewer notifies of their parents."""

RETRIED = "Failed children were retried or skipped."


class FanOutParent(Parent):
    """Base of the fan-out workflow: its units, their supervisor, and the signals, updates and queries.

    Signals: `pause`, `resume`, `set_window`; `decide` at an approval gate; `skip` and `finish` on a held batch; `stop`
    from the root to its partitions, and back `child_failures` when the plan has a failure limit; `handed_back` from the
    workers of its pool. Updates: `retry`, `skip_children`. Queries: `progress`, `untold`.
    """

    def __init__(self, given: FanOutInput) -> None:
        super().__init__(Outbox(given.batch_id, timedelta(0) if given.is_head else DEBOUNCE_IN_PARTITIONS))
        self._given = given
        self._window = given.window or given.plan.window
        self._retry_came = False
        self._closing = False
        self._failures = FailureLimit(given)
        self._hold = Hold(timedelta(seconds=given.plan.hold_timeout), self._hold_changed)
        self._units = units_of(given, self._count_failures)
        self._supervisor = self._supervise(self._units, given)

    def _supervise(self, units: Units, given: FanOutInput) -> Supervisor:
        starts_children = not isinstance(units, Partitions) and not given.roll_back
        supervisor = Supervisor(
            units.first(),
            units,
            outbox=self.outbox,
            window=units.places(self._window),
            paused=given.paused,
            admission=admission_rules(given.plan, self._report_on_timeline, given.breaker) if starts_children else (),
        )
        units.supervisor = supervisor
        return supervisor

    async def _close(self, outcome: Status, failure: Failure | None = None) -> None:
        self._closing = True
        self._clock.close(outcome)
        self._report_self(EventKind.CLOSED, outcome, failure)
        await self.outbox.close()

    def _report_self(self, kind: EventKind, outcome: Status | None = None, failure: Failure | None = None) -> None:
        """Report the root itself, all runs of a start as one; others are reported by their parent."""
        if self._given.is_root:
            name, run_id = workflow.info().workflow_id, self._attempt_id
            window = self._window if kind is EventKind.WINDOW else None
            self.outbox.put(kind, name, run_id, outcome=outcome, failure=failure, window=window)

    @property
    def _attempt_id(self) -> str:
        return attempt_id(self._given.attempt_id)

    def _report_on_timeline(self, kind: EventKind, note: str, until: datetime | None = None) -> None:
        """Report an event of the batch's timeline."""
        info = workflow.info()
        self.outbox.put(kind, info.workflow_id, self._attempt_id, note=note, until=until or self._hold.until)

    # The failure limit is that of the root or stage: partitions forward the number of their failures, and it stops.

    def _count_failures(self, number: int) -> None:
        self._failures.add(number)
        if not self._given.is_head:
            return
        if number < 0:
            if self._hold:
                self._hold.end(RETRIED)
        elif reason := self._failures.excess(self._units.layout.children):
            self._exceed(reason)

    def _exceed(self, reason: str) -> None:
        if self._given.plan.on_threshold is not OnThreshold.HOLD:
            self._supervisor.stop(reason)
        elif not self._hold.is_settled:
            self._hold.begin(reason)

    def _hold_changed(self, note: str) -> None:
        if self._hold.is_settled:
            self._units.finish()
        self._supervisor.held = bool(self._hold)
        self._report_on_timeline(EventKind.HELD if self._hold else EventKind.RELEASED, note)
        self._units.steer(self._window)

    # What other workflows of the batch signal

    @workflow.signal(name=CHILD_FAILURES_SIGNAL)
    def child_failures(self, number: int) -> None:
        """Count children that failed in a partition; a negative number where failed ones were retried."""
        self._count_failures(number)

    @workflow.signal(name=WORKER_REPORT_SIGNAL)
    def handoff_reported(self, report: WorkerReport) -> None:
        """Record what a worker of its pool or an entity reports."""
        self._units.handoff_reported(report)

    @workflow.signal
    def stop(self) -> None:
        """Stop on behalf of the root: cancel what is open, skip what is pending, and return what had completed."""
        self._supervisor.stop("The batch stops.")

    # What a person may do

    def _set_paused(self, paused: bool) -> None:
        if self._supervisor.paused is not paused:
            self._supervisor.paused = paused
            self._report_self(EventKind.PAUSED if paused else EventKind.RESUMED)
            self._units.steer(self._window)

    @workflow.signal
    def set_window(self, window: int) -> None:
        """Change how many children may be open; those beyond a smaller window run to their end."""
        self._window = max(1, window)
        self._supervisor.window = self._units.places(self._window)
        self._report_self(EventKind.WINDOW)
        self._units.steer(self._window)

    @workflow.signal
    def decide(self, decision: Decision) -> None:
        """Open the approval gate, or refuse. The first decision counts."""
        self._approvals.decide(decision)

    @workflow.signal
    def skip(self) -> None:
        """Go on without the children that failed: they count as skipped. Ends a hold."""
        self._failures.add(-self._units.skip_failed())
        if self._hold:
            self._hold.end("Failed children were skipped.")

    @workflow.signal
    def finish(self) -> None:
        """End a held batch as it is: what is pending is skipped, what is open is awaited."""
        if not self._given.is_head:
            self._units.finish()
        elif self._hold:
            self._hold.settle("Finished by an operator.")

    @workflow.query
    def progress(self) -> Progress:
        """Return how far this run is, in its direct children."""
        supervisor = self._supervisor
        pending, running = supervisor.pending, len(supervisor.open)
        done = len(supervisor.outcomes)
        status, rate, eta = self._clock.pace(done, pending + running, self._open_status())
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
        return self._retry(request)

    def _retry(self, request: ChildrenRequest) -> ChildrenAnswer:
        lost = set(request.lost)
        answer = ChildrenAnswer.of(request, lambda child: self._units.retry(child, is_lost=child in lost))
        if self._given.is_root and self._given.children is not None and not self._retry_came:
            self._failures.limit_to(len(answer.accepted))
        self._retry_came = True
        if self._hold and answer.accepted:
            self._hold.end(RETRIED)
        return answer

    @workflow.update
    def skip_children(self, request: ChildrenRequest) -> ChildrenAnswer:
        """Go on without children: pending ones are not started, failed ones count as skipped."""
        return self._skip_children(request)

    def _skip_children(self, request: ChildrenRequest) -> ChildrenAnswer:
        before, lost = self._units.result().counts.failures, set(request.lost)
        answer = ChildrenAnswer.of(request, lambda child: self._units.skip(child, is_lost=child in lost))
        if (fewer := self._units.result().counts.failures - before) < 0:
            self._count_failures(fewer)
        return answer

    def children_updates(self) -> Mapping[str, ChildrenUpdate]:
        """Return `retry` and `skip_children`."""
        return {
            RETRY_UPDATE: (self._validate_retry, self._retry),
            SKIP_CHILDREN_UPDATE: (self._validate_skip, self._skip_children),
        }

    @retry.validator
    def _validate_retry(self, request: ChildrenRequest) -> None:
        self._validate(request)

    @skip_children.validator
    def _validate_skip(self, request: ChildrenRequest) -> None:
        self._validate(request)

    def _validate(self, request: ChildrenRequest) -> None:
        rolls_back = self._given.undo or self._given.roll_back
        is_closing = self._closing or rolls_back or self._supervisor.stop_reason is not None
        validate_request(request, self._units.layout.child_range.__contains__, is_closing=is_closing)
