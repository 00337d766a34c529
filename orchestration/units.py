"""Units: what stands directly below a parent. Children, or partitions of children; the parent treats both alike.

Workflow code: deterministic. Starts one, takes in how it ended, retries a child below it, and adds up results.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts import ChunkInput, Counts, FanOutInput, FanOutResult, Status
    from orchestration.plan import MAX_OPEN_PARTITIONS, Layout, child_id, partition_id, share_window
    from orchestration.supervisor import Supervisor

PARTITION_OPEN = "partition is running"
"""A root's refusal of a child whose partition is open: ask the partition."""

ALREADY_RUNNING = "already running"
ALREADY_COMPLETED = "already completed"

FAN_OUT_WORKFLOW = "FanOutWorkflow"
CHUNK_WORKFLOW = "ChunkWorkflow"

FAILURES = (Status.FAILED, Status.TIMED_OUT, Status.TERMINATED)
"""Outcomes that count against a failure limit; a cancellation is somebody's wish."""

Handle = ChildWorkflowHandle[Any, Any]


class Units(Protocol):
    """What a parent needs to know of what stands below it."""

    supervisor: Supervisor

    def first(self) -> list[int]:
        """Return the units that this run starts with."""
        ...

    def places(self, window: int) -> int:
        """Return how many units may be open under a window of children."""
        ...

    async def start(self, unit: int) -> Handle:
        """Start a unit. Raises WorkflowAlreadyStartedError."""
        ...

    def closed(self, unit: int, outcome: Status, result: Any) -> None:
        """Take in how a unit ended."""
        ...

    def steer(self, window: int) -> None:
        """Tell open units of a changed window or pause."""
        ...

    def retry(self, child: int) -> str | None:
        """Give a child another attempt, or return why not."""
        ...

    def result(self) -> FanOutResult:
        """Return the counts of children that this run started or skipped."""
        ...


def units_of(given: FanOutInput, failed: Callable[[int], None]) -> Units:
    """Return what stands below a parent; `failed` is told how many more (or, negative, fewer) children failed."""
    has_partitions = given.partition is None and Layout.of(given.plan, given.items).partitions > 0
    return Partitions(given) if has_partitions else Children(given, failed)


class Children:
    """Children directly below a parent: a flat root, or a partition."""

    supervisor: Supervisor

    def __init__(self, given: FanOutInput, failed: Callable[[int], None]) -> None:
        self._given, self._failed = given, failed
        self._layout = Layout.of(given.plan, given.items)

    def first(self) -> list[int]:
        """Return the children asked for, or all in the range."""
        given = self._given
        return list(range(given.first, given.stop)) if given.children is None else list(given.children)

    def places(self, window: int) -> int:
        """Return the window: it is of children."""
        return window

    async def start(self, unit: int) -> Handle:
        """Start a child. One that completed may not run again."""
        given, chunk = self._given, self._layout.chunk(unit)
        last = chunk.offset + chunk.length
        timeout = given.plan.chunk_timeout(chunk.length)
        return await workflow.start_child_workflow(
            CHUNK_WORKFLOW,
            ChunkInput(given.batch_id, unit, chunk.offset, chunk.length, given.plan.task_queue, timeout),
            id=child_id(given.batch_id, unit, given.partition),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            parent_close_policy=ParentClosePolicy.TERMINATE,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=f"item {last:,}" if chunk.length == 1 else f"items {chunk.offset + 1:,}-{last:,}",
        )

    def closed(self, unit: int, outcome: Status, result: Any) -> None:
        """Count a failure."""
        if outcome in FAILURES:
            self._failed(1)

    def steer(self, window: int) -> None:
        """Do nothing: a child is not steered."""

    def retry(self, child: int) -> str | None:
        """Queue a child again unless it runs or has completed."""
        if child in self.supervisor.open or self.supervisor.is_queued(child):
            return ALREADY_RUNNING
        outcome = self.supervisor.outcomes.get(child)
        if outcome is Status.COMPLETED:
            return ALREADY_COMPLETED
        self.supervisor.enqueue(child)
        if outcome in FAILURES:
            self._failed(-1)
        return None

    def result(self) -> FanOutResult:
        """Count children by newest outcome."""
        outcomes = self.supervisor.outcomes
        unfinished = dict[Status, list[int]]()
        for child, outcome in outcomes.items():
            if outcome is not Status.COMPLETED:
                unfinished.setdefault(outcome, []).append(child)
        reran = None if self._given.children is None else list(outcomes)
        return FanOutResult(self.supervisor.counts, unfinished, reran)


class Partitions:
    """Partitions below a root, which share its window."""

    supervisor: Supervisor

    def __init__(self, given: FanOutInput) -> None:
        self._given = given
        self._layout = Layout.of(given.plan, given.items)
        self._window = given.window or given.plan.window
        self._told = dict[int, tuple[int, bool]]()
        self._selected = dict[int, list[int]]()
        self._below = dict[int, FanOutResult]()

    def first(self) -> list[int]:
        """Return all partitions; none where the run was started to retry."""
        return list(range(self._layout.partitions)) if self._given.children is None else []

    def places(self, window: int) -> int:
        """Return how many partitions may share a window."""
        return min(window, MAX_OPEN_PARTITIONS)

    async def start(self, unit: int) -> Handle:
        """Start a partition, with the children selected for a retry if there are any."""
        given, children = self._given, self._layout.partition_range(unit)
        window, paused = self._share_of(unit), self.supervisor.paused
        self._told[unit] = (window, paused)
        handle = await workflow.start_child_workflow(
            FAN_OUT_WORKFLOW,
            FanOutInput(
                given.batch_id,
                given.plan,
                given.items,
                children.start,
                children.stop,
                partition=unit,
                children=self._selected.pop(unit, None),
                window=window,
                label=given.label,
                paused=paused,
            ),
            id=partition_id(given.batch_id, unit),
            result_type=FanOutResult,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            parent_close_policy=ParentClosePolicy.TERMINATE,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            static_summary=f"children {children.start + 1:,}-{children.stop:,}",
        )
        asyncio.create_task(self._tell(unit, handle))  # noqa: RUF006  the workflow's loop keeps its tasks
        return handle

    def closed(self, unit: int, outcome: Status, result: Any) -> None:
        """Take in a partition's result, and give its share of the window to the others."""
        self._told.pop(unit, None)
        if result is not None:
            self._below[unit] = merged(self._below.get(unit), result)
        elif outcome is not Status.COMPLETED:
            self._below[unit] = FanOutResult(Counts(), {outcome: list(self._layout.partition_range(unit))})
        self.steer(self._window)

    def steer(self, window: int) -> None:
        """Tell every open partition what has changed for it."""
        self._window = window
        for unit, handle in self.supervisor.open.items():
            if handle is not None:
                asyncio.create_task(self._tell(unit, handle))  # noqa: RUF006

    def _share_of(self, partition: int) -> int:
        """Return the part of the window that an open partition has."""
        opened = sorted(self.supervisor.open)
        places = min(self.supervisor.window, len(opened) + self.supervisor.pending)
        return share_window(self._window, max(places, len(opened)))[opened.index(partition)] or 1

    async def _tell(self, partition: int, handle: Handle) -> None:
        if partition not in self.supervisor.open:
            return
        window, paused = self._share_of(partition), self.supervisor.paused
        told_window, told_paused = self._told.get(partition, (window, paused))
        self._told[partition] = (window, paused)
        try:
            if window != told_window:
                await handle.signal("set_window", window)
            if paused != told_paused:
                await handle.signal("pause" if paused else "resume")
        except ApplicationError:
            workflow.logger.info("Partition %s closed before it could be steered.", partition)

    def retry(self, child: int) -> str | None:
        """Start a child's partition again for it, unless the partition is open or the child completed."""
        partition = self._layout.partition_of(child) or 0
        below = self._below.get(partition)
        if partition in self.supervisor.open:
            return PARTITION_OPEN
        if below is not None and not any(child in children for children in below.unfinished.values()):
            return ALREADY_COMPLETED
        if not self.supervisor.is_queued(partition):
            self._selected[partition] = [child]
            self.supervisor.enqueue(partition)
        elif child in self._selected.get(partition, [child]):
            return ALREADY_RUNNING
        else:
            self._selected[partition].append(child)
        return None

    def result(self) -> FanOutResult:
        """Add up the partitions."""
        counts, unfinished = Counts(), dict[Status, list[int]]()
        for below in self._below.values():
            counts.completed += below.counts.completed
            for outcome, children in below.unfinished.items():
                unfinished.setdefault(outcome, []).extend(children)
                counts.add(outcome, len(children))
        return FanOutResult(counts, unfinished)


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
