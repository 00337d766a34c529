"""FanOutWorkflow: a fan-out, fan-in parent. The root of a batch, each stage and each partition alike."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind
    from orchestration.contracts.fan_out import FanOutInput, FanOutResult
    from orchestration.contracts.messages import MOST_CHILDREN
    from orchestration.contracts.patches import PAUSE_HOLDS_HANDOFF
    from orchestration.contracts.status import REFUSED, ROLLED_BACK, Failure, Status
    from orchestration.engine.approval import verdict
    from orchestration.engine.cancellation import hears_cancel, stop_if_canceled
    from orchestration.engine.fan_out_parent import FanOutParent
    from orchestration.engine.retry import await_retry
    from orchestration.engine.summary import summarise
    from orchestration.engine.units.factory import units_of
    from orchestration.plan.choices import OnThreshold

POLICY_EXCEEDED = "FailurePolicyExceeded"


@workflow.defn
class FanOutWorkflow(FanOutParent):
    """Run the children of a batch or of a partition in a window and return their counts.

    Signals, updates and queries: FanOutParent's. Ends when no child is open or pending and nobody holds it; fails when
    the plan's failure limit was exceeded; ends canceled after all its children did.
    """

    @workflow.init
    def __init__(self, given: FanOutInput) -> None:
        super().__init__(given)

    @workflow.run
    async def run(self, given: FanOutInput) -> FanOutResult:
        """Return the counts of the children that this run started or skipped."""
        self.outbox.open()
        if not self._is_continued:
            self._report_self(EventKind.STARTED)
        forwarding = asyncio.create_task(self._failures.forward())
        try:
            if given.is_root and given.children is not None and not given.undo:
                await await_retry(lambda: self._retry_came)
            failure = await self._undo() if given.undo else await self._refusal()
            if failure is None:
                await self._units.prepare()
                await self._run_until_released()
                await self._continue_as_new()
                if not self._failures.is_forwarded:
                    await workflow.wait_condition(lambda: self._failures.is_forwarded)
                await self._units.close()
                failure = await self._failure()
        except (FailureError, asyncio.CancelledError) as error:
            if isinstance(error, FailureError) and not (is_cancelled_exception(error) and hears_cancel()):
                raise
            await self._units.close()
            await self._close(Status.CANCELED)
            raise asyncio.CancelledError from error
        finally:
            forwarding.cancel()
        await summarise(self._given, failure, self._units)
        if failure is not None:
            await self._close(Status.FAILED, failure)
            raise ApplicationError(failure.message, type=failure.type, non_retryable=True)
        await self._close(Status.COMPLETED)
        return self._result()

    def _result(self) -> FanOutResult:
        """Return the counts, without the names of children where these would be more than a payload may have."""
        result = self._units.result()
        named = sum(map(len, result.unfinished.values())) + len(result.reran or ())
        return result if named <= MOST_CHILDREN else replace(result, unfinished={}, reran=None)

    async def _refusal(self) -> Failure | None:
        """Wait for approval where the plan asks for it; return why nothing may start if it is refused."""
        plan = self._given.plan
        is_first = (self._given.children is None or not self._given.approved) and not self._is_continued
        if not (plan.approval and self._given.is_head and is_first):
            return None
        limit = timedelta(seconds=plan.approval_timeout)
        decision = await self._approvals.request(
            "No child starts until an operator approves.", limit, self._report_on_timeline
        )
        approved = decision is not None and decision.approved
        return None if approved else Failure(REFUSED, verdict(decision))

    async def _run_until_released(self) -> None:
        """Run all units; where failures are left and the plan says so, hold for a person, who may retry some."""
        while True:
            await self._supervisor.run()
            stop_if_canceled()
            if self._given.is_head and not self._hold and self._must_hold_at_end():
                failed = self._units.result().counts.failures
                self._hold.begin(f"{failed:,} of {self._units.layout.children:,} children failed.")
            if not self._hold:
                return
            await workflow.wait_condition(lambda: not self._hold)

    def _must_hold_at_end(self) -> bool:
        continues = self._units.cursor is not None
        is_over = self._supervisor.stop_reason is not None or self._hold.is_settled or continues
        return self._given.plan.hold_at_end and not is_over and self._units.result().counts.failures > 0

    @property
    def _is_continued(self) -> bool:
        """Whether this run was continued from another one."""
        return workflow.info().continued_run_id is not None

    async def _continue_as_new(self) -> None:
        """Continue as new where the input has not been read to its end, and nothing has stopped the batch."""
        if self._units.cursor is None or self._supervisor.stop_reason is not None:
            return
        self._closing = True
        pages = f"{self._units.cursor.pages:,} pages, {self._units.cursor.items:,} items"
        self._report_on_timeline(EventKind.CONTINUED, f"Continued in a new run after {pages}.")
        await self.outbox.close()
        await workflow.wait_condition(workflow.all_handlers_finished)
        stop_if_canceled()
        cursor = self._units.cursor
        workflow.continue_as_new(
            replace(
                self._given,
                items=cursor.items,
                cursor=cursor,
                window=self._window,
                paused=self._supervisor.paused,
                breaker=self._units.result().breaker,
                attempt_id=self._attempt_id,
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

    async def _undo(self) -> Failure:
        """Undo the children that this was started for, and return the failure with which it ends."""
        return Failure(ROLLED_BACK, await self._roll_back(self._given.children or []))

    async def _roll_back(self, children: list[int]) -> str:
        """Undo children, and return in words what came of that."""
        if not children:
            return "No child had completed, so there was nothing to roll back."
        self._report_on_timeline(EventKind.ROLLING_BACK, f"Children to roll back: {len(children):,}.")
        items, is_paused = self._units.layout.items, self._supervisor.paused
        undo = replace(
            self._given,
            items=items,
            children=children,
            roll_back=True,
            undo=False,
            window=self._window,
            paused=is_paused and workflow.patched(PAUSE_HOLDS_HANDOFF),
        )
        units = units_of(undo, lambda number: None)
        self._units, self._supervisor = units, self._supervise(units, undo)
        await units.prepare()
        await self._supervisor.run()
        counts = units.result().counts
        failed = f" Failed rollbacks: {counts.unfinished:,}." if counts.unfinished else ""
        return f"Children rolled back: {counts.completed:,}.{failed}"
