"""Partitions: the units of a root that has more children than one parent should have. They share its window.

Workflow code: deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.events import EventKind, Place
    from orchestration.contracts.fan_out import BreakerState, Cursor, FanOutInput, FanOutResult
    from orchestration.contracts.long_lived import WorkerReport
    from orchestration.contracts.names import FAN_OUT_WORKFLOW, PARTITION_OPEN
    from orchestration.contracts.status import LEFT_OUT, Counts, Failure, Status
    from orchestration.contracts.workflow_ids import child_id, partition_id
    from orchestration.engine.child_handles import in_background, pause_while_id_is_taken, signal_if_open
    from orchestration.engine.supervisor import Supervisor, Unit
    from orchestration.engine.units.policies import (
        ALREADY_COMPLETED,
        ALREADY_RUNNING,
        ALREADY_SKIPPED,
        FAILURES,
        PARENT_CLOSE,
        untouched_outcomes,
    )
    from orchestration.plan.choices import ParentClose
    from orchestration.plan.layout import share_window

Handle = ChildWorkflowHandle[Any, Any]


class Partitions:
    """Partitions below a root, which share its window."""

    supervisor: Supervisor

    def __init__(self, given: FanOutInput) -> None:
        self._given = given
        self.layout = given.layout
        self._window = given.window or given.plan.window
        self._steered = dict[int, tuple[int, bool]]()
        self._selected = dict[int, list[int]]()
        self._below = dict[int, FanOutResult]()
        self._breaker: BreakerState | None = given.breaker
        self.awaits = True

    @property
    def cursor(self) -> Cursor | None:
        """Return nothing: these partitions are all known."""
        return None

    async def prepare(self) -> None:
        """Do nothing: each partition prepares itself."""

    def first(self) -> list[int]:
        """Return all partitions; where only some children are to run, or to be undone, theirs."""
        if self._given.children is None:
            return list(range(self.layout.partitions))
        for child in self._given.children:
            self._selected.setdefault(self.layout.partition_of(child) or 0, []).append(child)
        return list(self._selected)

    def places(self, window: int) -> int:
        """Return how many partitions may share a window."""
        return min(window, self._given.plan.open_partitions)

    def name(self, unit: int) -> str:
        """Return the partition's workflow id."""
        return partition_id(self._given.batch_id, unit, self._given.section)

    def place(self, unit: int) -> Place | None:
        """Return nothing: partitions have rows from the launch on."""
        return None

    async def start(self, unit: int) -> Unit:
        """Start a partition, with the children selected for a retry if there are any."""
        given, children = self._given, self.layout.partition_range(unit)
        window, paused = self._share_of(unit), self.supervisor.is_halted
        self._steered[unit] = (window, paused)
        handle = await workflow.start_child_workflow(
            FAN_OUT_WORKFLOW,
            FanOutInput(
                given.batch_id,
                given.plan,
                self.layout.items,
                children.start,
                children.stop,
                partition=unit,
                children=self._selected.pop(unit, None),
                window=window,
                label=given.label,
                paused=paused,
                roll_back=given.roll_back,
                breaker=self._breaker,
                section=given.section,
                stage=given.stage,
                first_child=given.first_child,
                first_item=given.first_item,
                child_workflow=given.child_workflow,
            ),
            id=self.name(unit),
            result_type=FanOutResult,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            parent_close_policy=PARENT_CLOSE[self._close_policy],
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=f"children {children.start + 1:,}-{children.stop:,}",
        )
        in_background(self._steer(unit, handle))
        return handle

    @property
    def _close_policy(self) -> ParentClose:
        """Partitions share their children's fate: what is left alone below a closed root needs its parent."""
        return self._given.plan.parent_close

    async def wait_for_id(self, unit: int, tries: int) -> bool:
        """Wait until the run before has closed."""
        return await pause_while_id_is_taken(tries)

    def stop(self, unit: Unit) -> None:
        """Have a partition stop its children and return what had completed; a canceled one would return nothing."""
        assert isinstance(unit, ChildWorkflowHandle)
        in_background(signal_if_open(unit, "stop"))

    def closed(self, unit: int, outcome: Status, result: Any) -> None:
        """Record a partition's result, and give its share of the window to the others."""
        self._steered.pop(unit, None)
        if result is not None:
            self._below[unit] = merged(self._below.get(unit), result)
            self._breaker = result.breaker
        elif outcome is not Status.COMPLETED:
            self._below[unit] = FanOutResult(Counts(), {outcome: list(self.layout.partition_range(unit))})
        self.steer(self._window)

    def steer(self, window: int) -> None:
        """Signal every open partition what has changed for it."""
        self._window = window
        for unit, handle in self._open:
            in_background(self._steer(unit, handle))

    async def close(self) -> None:
        """Do nothing: partitions that have closed leave nothing behind."""

    def handoff_reported(self, report: WorkerReport) -> None:
        """Do nothing: a partition records what its own children report."""

    def skip_failed(self) -> int:
        """Count failed children of closed partitions as skipped and return how many; open partitions do theirs."""
        number = 0
        for below in self._below.values():
            failed = [child for outcome in FAILURES for child in below.unfinished.pop(outcome, [])]
            below.unfinished.setdefault(Status.SKIPPED, []).extend(failed)
            for child in failed:
                self.report_skipped(child, LEFT_OUT)
            number += len(failed)
        for _, handle in self._open:
            in_background(signal_if_open(handle, "skip"))
        return number

    def report_skipped(self, child: int, failure: Failure) -> None:
        """Report why a child of a partition that is not open counts as skipped."""
        name = child_id(self._given.batch_id, child, self.layout.partition_of(child) or 0, self._given.section)
        self.supervisor.outbox.put(EventKind.SKIPPED, name, "", failure=failure)

    def skip(self, child: int, *, is_lost: bool) -> str | None:
        """Leave a child out of a partition that is pending or closed; an open one gets the request itself."""
        partition, supervisor = self.layout.partition_of(child) or 0, self.supervisor
        if partition in supervisor.open:
            return PARTITION_OPEN
        below = self._below.setdefault(partition, FanOutResult(Counts(), {}))
        unfinished = below.unfinished
        if child in unfinished.get(Status.SKIPPED, ()):
            return ALREADY_SKIPPED
        if not supervisor.is_queued(partition):
            if not any(child in children for children in unfinished.values()):
                if not is_lost:
                    return ALREADY_COMPLETED
                below.counts.completed -= 1
        elif child in (selected := self._selected.setdefault(partition, [*self.layout.partition_range(partition)])):
            selected.remove(child)
            if not selected:
                del self._selected[partition]
                supervisor.skip(partition)
        for children in unfinished.values():
            if child in children:
                children.remove(child)
        unfinished.setdefault(Status.SKIPPED, []).append(child)
        self.report_skipped(child, LEFT_OUT)
        return None

    def finish(self) -> None:
        """Start nothing more, here and in open partitions."""
        self.supervisor.skip_pending()
        for _, handle in self._open:
            in_background(signal_if_open(handle, "finish"))

    def to_undo(self) -> list[int]:
        """Return the children of which something may have completed."""
        untouched = untouched_outcomes(self._given)
        undone = list[int]()
        for unit, below in self._below.items():
            left = {child for outcome in untouched for child in below.unfinished.get(outcome, [])}
            undone.extend(child for child in self.layout.partition_range(unit) if child not in left)
        return undone

    def _share_of(self, partition: int) -> int:
        """Return the part of the window that an open partition has."""
        opened = sorted(self.supervisor.open)
        places = min(self.supervisor.window, len(opened) + self.supervisor.pending)
        return share_window(self._window, max(places, len(opened)))[opened.index(partition)] or 1

    @property
    def _open(self) -> Iterator[tuple[int, Handle]]:
        """The partitions that have started and not closed."""
        for unit, handle in self.supervisor.open.items():
            if isinstance(handle, ChildWorkflowHandle):
                yield unit, handle

    async def _steer(self, partition: int, handle: Handle) -> None:
        """Signal a partition its share of the window, and a pause or its end, where these have changed."""
        if partition not in self.supervisor.open:
            return
        window, paused = self._share_of(partition), self.supervisor.is_halted
        last_window, last_paused = self._steered.get(partition, (window, paused))
        self._steered[partition] = (window, paused)
        if window != last_window:
            await signal_if_open(handle, "set_window", window)
        if paused != last_paused:
            await signal_if_open(handle, "pause" if paused else "resume")

    def retry(self, child: int, *, is_lost: bool) -> str | None:
        """Start a child's partition again for it, unless the partition is open or the child completed with results."""
        partition = self.layout.partition_of(child) or 0
        if partition in self.supervisor.open:
            return PARTITION_OPEN
        is_queued = self.supervisor.is_queued(partition)
        if is_queued and child in self._selected.get(partition, [child]):
            return ALREADY_RUNNING
        below = self._below.get(partition)
        if below is not None and not any(child in children for children in below.unfinished.values()):
            if not is_lost:
                return ALREADY_COMPLETED
            below.counts.completed -= 1  # it counts by what comes of it now
        if is_queued:
            self._selected[partition].append(child)
        else:
            self._selected[partition] = [child]
            self.supervisor.enqueue(partition)
        return None

    def result(self) -> FanOutResult:
        """Add up the partitions."""
        counts, unfinished = Counts(), dict[Status, list[int]]()
        for below in self._below.values():
            counts.completed += below.counts.completed
            for outcome, children in below.unfinished.items():
                unfinished.setdefault(outcome, []).extend(children)
                counts.add(outcome, len(children))
        return FanOutResult(counts, unfinished, breaker=self._breaker)


def merged(before: FanOutResult | None, again: FanOutResult) -> FanOutResult:
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
