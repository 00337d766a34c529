"""FanOutWorkflow: a fan-out, fan-in parent. The root of a batch and each partition of it alike."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts import (
        ChunkInput,
        Counts,
        EventKind,
        Failure,
        FanOutInput,
        FanOutResult,
        Progress,
        RetryAnswer,
        RetryRequest,
        Status,
    )
    from orchestration.outbox import Outbox
    from orchestration.plan import MAX_OPEN_PARTITIONS, Layout, child_id, partition_id, root_id, share_window
    from orchestration.supervisor import Supervisor
    from orchestration.workflows.chunk import ChunkWorkflow

WAIT_FOR_RETRY = timedelta(minutes=1)
"""A root that was started to retry gives up when its `retry` update does not come."""

PARENT_CLOSING = "ParentClosing"
"""Type of the error with which a parent that is about to close refuses a retry: start it again."""

PARTITION_OPEN = "partition is running"
"""A root's refusal of a child whose partition is open: ask the partition."""

ALREADY_RUNNING = "already running"
ALREADY_COMPLETED = "already completed"


@workflow.defn
class FanOutWorkflow:
    """Run the children of a batch or of a partition in a window and return their counts.

    Signals: `pause`, `resume`, `set_window`; `child_failures` comes from partitions when the plan has a failure limit.
    Update: `retry`. Query: `progress`. Ends when no child is open or pending; fails when the plan's failure limit was
    exceeded; ends canceled after all its children did.
    """

    @workflow.init
    def __init__(self, given: FanOutInput) -> None:
        self._input = given
        self._plan = given.plan
        self._layout = Layout.of(given.plan, given.items)
        self._has_partitions = given.partition is None and self._layout.partitions > 0
        self._window = given.window or given.plan.window
        self._outbox = Outbox(given.batch_id)
        self._retry_came = False
        self._closing = False
        self._failures = 0
        self._failures_told = 0
        self._limit = given.plan.failure_limit(self._layout.children if given.children is None else len(given.children))
        self._steered: dict[int, tuple[int, bool]] = {}
        self._selected: dict[int, list[int]] = {}
        self._below: dict[int, FanOutResult] = {}
        self._supervisor = Supervisor(
            self._first_units(),
            start=self._start_partition if self._has_partitions else self._start_child,
            outbox=self._outbox,
            window=min(self._window, MAX_OPEN_PARTITIONS) if self._has_partitions else self._window,
            paused=given.paused,
            closed=self._partition_closed if self._has_partitions else self._child_closed,
        )

    def _first_units(self) -> list[int]:
        if self._input.children is not None:
            return list(self._input.children)
        if self._has_partitions:
            return list(range(self._layout.partitions))
        return list(range(self._input.first, self._input.stop))

    @property
    def _is_root(self) -> bool:
        return self._input.partition is None

    # The run

    @workflow.run
    async def run(self, given: FanOutInput) -> FanOutResult:
        """Return the counts of the children that this run started or skipped."""
        self._outbox.open()
        self._report_self(EventKind.STARTED)
        reporter = asyncio.create_task(self._tell_failures()) if self._tells_failures else None
        try:
            if self._is_root and given.children is not None:
                await self._await_retry()
            await self._supervisor.run()
        except asyncio.CancelledError:
            await self._close(Status.CANCELED)
            raise
        finally:
            if reporter is not None:
                reporter.cancel()
        if self._supervisor.stop_reason is not None:
            failure = Failure("FailurePolicyExceeded", self._supervisor.stop_reason)
            await self._close(Status.FAILED, failure)
            raise ApplicationError(failure.message, type=failure.type, non_retryable=True)
        await self._close(Status.COMPLETED)
        return self._result()

    async def _await_retry(self) -> None:
        try:
            await workflow.wait_condition(lambda: self._retry_came, timeout=WAIT_FOR_RETRY)
        except TimeoutError:
            workflow.logger.warning("Started to retry, but no retry came.")

    async def _close(self, outcome: Status, failure: Failure | None = None) -> None:
        self._closing = True
        self._report_self(EventKind.CLOSED, outcome, failure)
        await self._outbox.close()

    def _report_self(self, kind: EventKind, outcome: Status | None = None, failure: Failure | None = None) -> None:
        """Report the root itself; a partition is reported by the root."""
        if self._is_root:
            info = workflow.info()
            window = self._window if kind is EventKind.WINDOW else None
            self._outbox.put(kind, info.workflow_id, info.run_id, outcome=outcome, failure=failure, window=window)

    def _result(self) -> FanOutResult:
        if not self._has_partitions:
            return _result_of(self._supervisor.outcomes, is_rerun=self._input.children is not None)
        counts, unfinished = Counts(), dict[Status, list[int]]()
        for below in self._below.values():
            counts.completed += below.counts.completed
            for outcome, children in below.unfinished.items():
                unfinished.setdefault(outcome, []).extend(children)
                counts.add(outcome, len(children))
        return FanOutResult(counts, unfinished)

    # Children

    async def _start_child(self, child: int) -> ChildWorkflowHandle[Any, Any]:
        chunk = self._layout.chunk(child)
        batch = self._input.batch_id
        last = chunk.offset + chunk.length
        return await workflow.start_child_workflow(
            ChunkWorkflow.run,
            ChunkInput(
                batch, child, chunk.offset, chunk.length, self._plan.task_queue, self._plan.chunk_timeout(chunk.length)
            ),
            id=child_id(batch, child, self._input.partition),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            parent_close_policy=ParentClosePolicy.TERMINATE,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=f"item {last:,}" if chunk.length == 1 else f"items {chunk.offset + 1:,}-{last:,}",
        )

    def _child_closed(self, child: int, outcome: Status, result: Any) -> None:
        if outcome in (Status.FAILED, Status.TIMED_OUT, Status.TERMINATED):
            self._count_failures(1)

    # Partitions

    async def _start_partition(self, partition: int) -> ChildWorkflowHandle[Any, Any]:
        children = self._layout.partition_range(partition)
        batch = self._input.batch_id
        window, paused = self._share_of(partition), self._supervisor.paused
        self._steered[partition] = (window, paused)
        handle = await workflow.start_child_workflow(
            FanOutWorkflow.run,
            FanOutInput(
                batch,
                self._plan,
                self._input.items,
                children.start,
                children.stop,
                partition=partition,
                children=self._selected.pop(partition, None),
                window=window,
                label=self._input.label,
                paused=paused,
            ),
            id=partition_id(batch, partition),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            parent_close_policy=ParentClosePolicy.TERMINATE,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=f"children {children.start + 1:,}-{children.stop:,}",
        )
        asyncio.create_task(self._steer(partition, handle))  # noqa: RUF006  the workflow's loop keeps its tasks
        return handle

    def _partition_closed(self, partition: int, outcome: Status, result: FanOutResult | None) -> None:
        self._steered.pop(partition, None)
        if result is not None:
            self._below[partition] = _merged(self._below.get(partition), result)
        elif outcome is not Status.COMPLETED:
            children = list(self._layout.partition_range(partition))
            self._below[partition] = FanOutResult(Counts(), {outcome: children})
        self._steer_all()

    def _share_of(self, partition: int) -> int:
        """Return the part of the window that an open partition has."""
        opened = sorted(self._supervisor.open)
        places = min(self._supervisor.window, len(opened) + self._supervisor.pending)
        return share_window(self._window, max(places, len(opened)))[opened.index(partition)] or 1

    def _steer_all(self) -> None:
        for partition, handle in self._supervisor.open.items():
            if handle is not None:
                asyncio.create_task(self._steer(partition, handle))  # noqa: RUF006

    async def _steer(self, partition: int, handle: ChildWorkflowHandle[Any, Any]) -> None:
        """Tell an open partition what changed of its window and pause since it was last told."""
        if partition not in self._supervisor.open:
            return
        window, paused = self._share_of(partition), self._supervisor.paused
        told_window, told_paused = self._steered.get(partition, (window, paused))
        self._steered[partition] = (window, paused)
        try:
            if window != told_window:
                await handle.signal(FanOutWorkflow.set_window, window)
            if paused != told_paused:
                await handle.signal(FanOutWorkflow.pause if paused else FanOutWorkflow.resume)
        except ApplicationError:
            workflow.logger.info("Partition %s closed before it could be steered.", partition)

    # Failure limit

    @property
    def _tells_failures(self) -> bool:
        return not self._is_root and self._limit is not None

    def _count_failures(self, number: int) -> None:
        self._failures += number
        if self._is_root and self._limit is not None and self._failures > self._limit:
            total = self._layout.children
            self._supervisor.stop(f"{self._failures:,} of {total:,} children failed, {self._limit:,} tolerated.")

    async def _tell_failures(self) -> None:
        root = workflow.get_external_workflow_handle(root_id(self._input.batch_id))
        while True:
            await workflow.wait_condition(lambda: self._failures > self._failures_told)
            number = self._failures - self._failures_told
            self._failures_told = self._failures
            await root.signal(FanOutWorkflow.child_failures, number)

    # What a person may do

    @workflow.signal
    def child_failures(self, number: int) -> None:
        """Count children that failed in a partition."""
        self._count_failures(number)

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
            self._steer_all()

    @workflow.signal
    def set_window(self, window: int) -> None:
        """Change how many children may be open; those over it are not disturbed."""
        self._window = max(1, window)
        self._supervisor.window = min(self._window, MAX_OPEN_PARTITIONS) if self._has_partitions else self._window
        self._report_self(EventKind.WINDOW)
        self._steer_all()

    @workflow.query
    def progress(self) -> Progress:
        """Return how far this run is, in its direct children."""
        supervisor = self._supervisor
        total = supervisor.pending + len(supervisor.open) + len(supervisor.outcomes)
        return Progress(
            total, supervisor.pending, len(supervisor.open), supervisor.counts, self._window, supervisor.paused
        )

    @workflow.update
    def retry(self, request: RetryRequest) -> RetryAnswer:
        """Give children another attempt: at once when there is a place in the window."""
        self._retry_came = True
        answer = RetryAnswer()
        for child in request.children:
            refusal = self._retry_in_partition(child) if self._has_partitions else self._retry_child(child)
            if refusal is None:
                answer.accepted.append(child)
            else:
                answer.refused[child] = refusal
        if self._limit is not None and not self._failures:
            self._limit = self._plan.failure_limit(len(answer.accepted))
        return answer

    @retry.validator
    def _validate_retry(self, request: RetryRequest) -> None:
        if self._closing or self._supervisor.stop_reason is not None:
            raise ApplicationError("The parent is closing.", type=PARENT_CLOSING)
        outside = [child for child in request.children if not 0 <= child < self._layout.children]
        if outside:
            raise ApplicationError(f"No such child: {outside[0]}.", type="NoSuchChild")

    def _retry_child(self, child: int) -> str | None:
        if child in self._supervisor.open or self._supervisor.is_queued(child):
            return ALREADY_RUNNING
        outcome = self._supervisor.outcomes.get(child)
        if outcome is Status.COMPLETED:
            return ALREADY_COMPLETED
        self._supervisor.enqueue(child)
        if outcome in (Status.FAILED, Status.TIMED_OUT, Status.TERMINATED):
            self._failures -= 1
            self._failures_told -= 1
        return None

    def _retry_in_partition(self, child: int) -> str | None:
        partition = child // len(self._layout.partition_range(0))
        below = self._below.get(partition)
        if partition in self._supervisor.open:
            return PARTITION_OPEN
        if below is not None and not any(child in children for children in below.unfinished.values()):
            return ALREADY_COMPLETED
        if not self._supervisor.is_queued(partition):
            self._selected[partition] = [child]
            self._supervisor.enqueue(partition)
        elif child in self._selected.get(partition, [child]):
            return ALREADY_RUNNING
        else:
            self._selected[partition].append(child)
        return None


def _result_of(outcomes: dict[int, Status], *, is_rerun: bool) -> FanOutResult:
    counts, unfinished = Counts(), dict[Status, list[int]]()
    for child, outcome in outcomes.items():
        counts.add(outcome)
        if outcome is not Status.COMPLETED:
            unfinished.setdefault(outcome, []).append(child)
    return FanOutResult(counts, unfinished, reran=list(outcomes) if is_rerun else None)


def _merged(before: FanOutResult | None, again: FanOutResult) -> FanOutResult:
    """Return the result of a partition after a rerun of some of its children."""
    if before is None or again.reran is None:
        return again
    reran = set(again.reran)
    counts = Counts(completed=before.counts.completed + again.counts.completed)
    unfinished = {outcome: list(children) for outcome, children in again.unfinished.items()}
    for outcome, children in before.unfinished.items():
        unfinished.setdefault(outcome, []).extend(child for child in children if child not in reran)
    for outcome, children in unfinished.items():
        counts.add(outcome, len(children))
    return FanOutResult(counts, unfinished)
