"""Children: the units of a parent that has no partitions, and the rollbacks that undo them.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkInput, ChunkResult, ItemOptions, ResourcesInput
    from orchestration.contracts.events import EventKind, Place
    from orchestration.contracts.fan_out import Cursor, FanOutInput, FanOutResult
    from orchestration.contracts.long_lived import WorkerReport
    from orchestration.contracts.patches import STOP_ENDS_WAIT
    from orchestration.contracts.status import LEFT_OUT, Failure, Status
    from orchestration.contracts.workflow_ids import child_id, resource_id
    from orchestration.engine.child_handles import may_wait_for_id
    from orchestration.engine.chunk_execution import run_chunk
    from orchestration.engine.supervisor import Supervisor, Unit
    from orchestration.engine.units.lacking import Lacking
    from orchestration.engine.units.policies import (
        ALREADY_COMPLETED,
        ALREADY_RUNNING,
        ALREADY_SKIPPED,
        CANCELLATION,
        FAILURES,
        PARENT_CLOSE,
        child_retry_policy,
        optional_seconds,
        reuse_policy,
        runs_with_workflows,
        untouched_outcomes,
    )
    from orchestration.engine.units.resources import read_resources, start_awaiting
    from orchestration.plan.choices import Execution, WhenTaken


class _ChunkTask:
    """A chunk that runs as activities of the parent itself: a unit that is awaited like a child workflow."""

    def __init__(self, name: str, chunk: ChunkInput) -> None:
        self.id, self.first_execution_run_id = name, chunk.run_id
        self._task = asyncio.create_task(run_chunk(chunk))

    def __await__(self) -> Generator[Any, None, ChunkResult]:
        """Return the chunk's counts."""
        return self._task.__await__()

    def cancel(self) -> None:
        """Ask the activity to stop."""
        self._task.cancel()


class Children:
    """Children directly below a parent: a flat root, or a partition."""

    supervisor: Supervisor

    def __init__(self, given: FanOutInput, failed: Callable[[int], None]) -> None:
        self._given, self._failed = given, failed
        self.layout = given.layout
        self._resources = dict[int, str]()
        self._runs = dict[int, int]()
        self._lost = set[int]()
        self._lacking = Lacking(given)
        self._awaited = set[int]()
        self.awaits = not given.plan.fire_and_forget

    @property
    def cursor(self) -> Cursor | None:
        """Return nothing: children are all known."""
        return None

    def first(self) -> list[int]:
        """Return the children that are selected, or all in the range."""
        given = self._given
        return list(range(given.first, given.stop)) if given.children is None else list(given.children)

    def places(self, window: int) -> int:
        """Return the window: it is of children."""
        return window

    async def prepare(self) -> None:
        """Read which resource each child uses, where the plan names any."""
        if self._given.plan.resource_field:
            self._resources = await self._read_resources()

    async def _read_resources(self) -> dict[int, str]:
        """Return the resource of each child of this parent, also of those that a run which retries does not begin with.

        A parent that was started to retry before this was read has none, and goes on without.
        """
        given = self._given
        children = self.layout.child_range if given.partition is None else self.layout.partition_range(given.partition)
        first, length = self.layout.chunk(children.start).offset, len(children)
        found = await read_resources(ResourcesInput(given.batch_id, given.plan.resource_field, first, length))
        return dict(zip(children, found, strict=False))

    def name(self, unit: int) -> str:
        """Return the child's workflow id: its own, or that of the resource it uses."""
        if unit in self._resources:
            return resource_id(self._resources[unit])
        return child_id(self._given.batch_id, unit, self._given.partition, self._given.section)

    def place(self, unit: int) -> Place | None:
        """Return nothing: children have rows from the launch on."""
        return None

    async def start(self, unit: int) -> Unit:
        """Start a child. One that completed runs again where it is named, or the record has lost its results."""
        plan, chunk = self._given.plan, self._chunk(unit)
        if plan.execution is Execution.NO_CHILDREN:
            return _ChunkTask(self.name(unit), chunk)
        last = chunk.offset + chunk.length
        may_repeat = unit in self._resources or unit in self._lost or self._given.children is not None
        return await workflow.start_child_workflow(
            self._given.child_workflow,
            chunk,
            id=self.name(unit),
            id_reuse_policy=reuse_policy(may_repeat=may_repeat),
            execution_timeout=optional_seconds(plan.child_execution_timeout),
            run_timeout=optional_seconds(plan.child_run_timeout),
            task_timeout=optional_seconds(plan.child_task_timeout),
            retry_policy=child_retry_policy(self._given),
            parent_close_policy=PARENT_CLOSE[plan.parent_close],
            cancellation_type=CANCELLATION[plan.cancellation],
            static_summary=f"item {last:,}" if chunk.length == 1 else f"items {chunk.offset + 1:,}-{last:,}",
        )

    async def close(self) -> None:
        """Do nothing: children that have closed leave nothing behind."""

    def _chunk(self, unit: int) -> ChunkInput:
        given, plan = self._given, self._given.plan
        chunk = self.layout.chunk(unit)
        run_id = ""
        if not plan.has_child_workflows:
            self._runs[unit] = self._runs.get(unit, 0) + 1
            run_id = f"{workflow.info().run_id}/{unit}.{self._runs[unit]}"
        return ChunkInput(
            given.batch_id,
            unit,
            chunk.offset,
            chunk.length,
            plan.task_queue,
            plan.chunk_deadline(chunk.length),
            may_rerun=plan.child_attempts > 1,
            options=_item_options(given),
            run_id=run_id,
            stage=given.stage,
            begins_in_task=plan.execution is Execution.CHUNK and runs_with_workflows(plan),
        )

    async def wait_for_id(self, unit: int, tries: int) -> bool:
        """Wait until the workflow that has the id ends. A child whose own id stays taken has completed before.

        Where the record lacks what that one did, because it was restored from an earlier state, the child runs again.
        """
        if unit in self._resources:
            return await self._wait_for_resource(unit)
        return await self._has_lost(unit) or await may_wait_for_id(tries)

    async def _has_lost(self, unit: int) -> bool:
        """Return whether the record lacks what a child has done, unless that is known already."""
        if unit in self._lost:
            return False
        self._lost |= await self._lacking.read()
        return unit in self._lost

    async def _wait_for_resource(self, unit: int) -> bool:
        resource = self._resources[unit]
        name, outbox = self.name(unit), self.supervisor.outbox
        outbox.put(EventKind.WAITING, name, "", note=f"Waiting for {resource}, which another child is using.")
        outcome = await self._outcome_of_holder(unit, name)
        if outcome is None:
            return False
        if self._given.plan.resource_taken is WhenTaken.WAIT or outcome != Status.COMPLETED:
            return True
        self.supervisor.outcomes[unit] = Status.SKIPPED
        joined = Failure("Joined", f"{resource} was already processed by another batch.")
        outbox.put(EventKind.SKIPPED, name, "", failure=joined)
        return False

    async def _outcome_of_holder(self, unit: int, name: str) -> str | None:
        """Wait for the workflow that holds a resource to end; None where the parent stops or skips the child before."""
        wait, supervisor = start_awaiting(name), self.supervisor
        self._awaited.add(unit)
        await workflow.wait_condition(
            lambda: wait.done() or supervisor.stop_reason is not None or unit not in self._awaited
        )
        is_skipped = unit not in self._awaited
        self._awaited.discard(unit)
        if not is_skipped and (wait.done() or not workflow.patched(STOP_ENDS_WAIT)):
            return await wait
        wait.cancel()
        with contextlib.suppress(ActivityError, asyncio.CancelledError):
            await wait
        return None

    def stop(self, unit: Unit) -> None:
        """Ask a child to cancel."""
        unit.cancel()

    def closed(self, unit: int, outcome: Status, result: Any) -> None:
        """Count a failure."""
        if outcome in FAILURES:
            self._failed(1)

    def steer(self, window: int) -> None:
        """Do nothing: a child is not steered."""

    def retry(self, child: int, *, is_lost: bool) -> str | None:
        """Queue a child again unless it runs, or has completed and its results are not lost."""
        if child in self.supervisor.open or self.supervisor.is_queued(child):
            return ALREADY_RUNNING
        outcome = self.supervisor.outcomes.get(child)
        if outcome is Status.COMPLETED and not is_lost:
            return ALREADY_COMPLETED
        if is_lost:
            self._lost.add(child)
        self.supervisor.enqueue(child)
        if outcome in FAILURES:
            self._failed(-1)
        return None

    def handoff_reported(self, report: WorkerReport) -> None:
        """Do nothing: these children are not handed off."""

    def skip_failed(self) -> int:
        """Count failed children as skipped from now on, and return how many those are."""
        skipped = [unit for unit, outcome in self.supervisor.outcomes.items() if outcome in FAILURES]
        for unit in skipped:
            self.supervisor.skip(unit)
            self.supervisor.report_skipped(unit, LEFT_OUT)
        return len(skipped)

    def skip(self, child: int, *, is_lost: bool) -> str | None:
        """Leave a child out that is pending or has failed, also in an earlier run; or return why not."""
        supervisor = self.supervisor
        if child in supervisor.open and not (child in self._awaited and workflow.patched(STOP_ENDS_WAIT)):
            return ALREADY_RUNNING
        self._awaited.discard(child)
        outcome = supervisor.outcomes.get(child)
        if outcome is Status.COMPLETED and not is_lost:
            return ALREADY_COMPLETED
        if outcome is Status.SKIPPED:
            return ALREADY_SKIPPED
        if outcome is not None or child in supervisor.open or supervisor.is_queued(child):
            supervisor.skip(child)
        supervisor.report_skipped(child, LEFT_OUT)
        return None

    def finish(self) -> None:
        """Start nothing more."""
        self.supervisor.skip_pending()

    def to_undo(self) -> list[int]:
        """Return the children of which something may have completed."""
        untouched = untouched_outcomes(self._given)
        return sorted(unit for unit, outcome in self.supervisor.outcomes.items() if outcome not in untouched)

    def result(self) -> FanOutResult:
        """Count children by newest outcome."""
        outcomes = self.supervisor.outcomes
        unfinished = dict[Status, list[int]]()
        for child, outcome in outcomes.items():
            if outcome is not Status.COMPLETED:
                unfinished.setdefault(outcome, []).append(child)
        reran = None if self._given.children is None else list(outcomes)
        return FanOutResult(self.supervisor.counts, unfinished, reran, self.supervisor.breaker)


def _item_options(given: FanOutInput) -> ItemOptions | None:
    plan = given.plan
    if plan.execution not in (Execution.ACTIVITIES, Execution.LOCAL_ACTIVITIES):
        return None
    return ItemOptions(
        is_local=plan.execution is Execution.LOCAL_ACTIVITIES,
        attempts=plan.item_attempts,
        backoff=plan.item_backoff,
        timeout=plan.item_timeout,
        concurrency=plan.item_concurrency,
    )
