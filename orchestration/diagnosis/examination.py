"""Diagnosis: why a batch, or one node of it, makes no progress. Looks at parents, at what is below, and at queues.

The checks of workflows, parents and queues judge the snapshots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError

from orchestration.client.task_queues import QueueKind, WorkerSnapshot, describe_queue, list_workers
from orchestration.contracts.messages import Progress
from orchestration.contracts.names import FAN_OUT_WORKFLOW, PROGRESS_QUERY
from orchestration.diagnosis import parent_checks, workflow_checks
from orchestration.diagnosis.describing import OPEN, Describer, has_reported_problem
from orchestration.diagnosis.findings import Finding, FindingCode, merge_findings
from orchestration.diagnosis.queue_checks import check_queue, check_workers
from orchestration.diagnosis.snapshot import WorkflowSnapshot, oldest_children, used_queues, waiting_tasks
from orchestration.temporal.connection import unavailable

MAX_PARENTS = 8
MAX_CHILDREN = 5
"""The oldest open ones: whatever delays a batch has delayed them longest."""

MAX_OTHERS = 40
"""Workflows that are described beside parents: those with a reported problem, then the oldest at any depth."""

QUERY_TIMEOUT = timedelta(seconds=2)

NOBODY_ANSWERS = (FindingCode.NO_WORKER, FindingCode.WORKER_LOST, FindingCode.WORKER_FROZEN)
"""With one of these findings a query may have no answer."""


async def diagnose(client: Client, workflow_id: str, beside: Sequence[str] = ()) -> list[Finding]:
    """Return why a workflow and those below it make no progress, gravest first; empty when no reason is known.

    `beside` are workflows of other trees on which it waits. Raises TemporalUnavailable.
    """
    with unavailable():
        describer = Describer.of(client)
        first = await describer.describe(workflow_id)
        if first is None:
            return [workflow_checks.not_started(workflow_id)]
        examination = _Examination(describer, await list_workers(client), beside)
        if first.info.status in OPEN:
            await examination.collect(first)
            return merge_findings(await examination.findings())
        await examination.collect_below_closed(first)
        return merge_findings(await examination.findings()) or [workflow_checks.already_closed(first)]


class _Examination:
    """One diagnosis: snapshots of parents and children, and the findings from them."""

    def __init__(self, describer: Describer, workers: Sequence[WorkerSnapshot], beside: Sequence[str]) -> None:
        self._client, self._describer, self._workers, self._beside = describer.client, describer, workers, beside
        self._parents: list[WorkflowSnapshot] = []
        self._children: list[WorkflowSnapshot] = []

    async def collect(self, first: WorkflowSnapshot) -> None:
        """Take snapshots of the open parents from one downwards, and of the oldest of what is open below, at any depth.

        Temporal's list says what is below; a parent's own description says it without delay.
        """
        if first.is_parent:
            self._parents = [await self._describer.with_events(first)]
        else:
            self._children = [first]
        await self._collect_below(await self._describer.open_below(first))

    async def collect_below_closed(self, first: WorkflowSnapshot) -> None:
        """Take snapshots of what is open below a workflow that has closed."""
        await self._collect_below(await self._describer.open_below(first))

    async def _collect_below(self, below: Sequence[WorkflowExecutionInfo]) -> None:
        fan_outs = [info.execution.workflow_id for info in below if info.type.name == FAN_OUT_WORKFLOW]
        self._parents += await self._describer.open_of(fan_outs[: MAX_PARENTS - 1], with_events=True)
        for parent in self._parents:  # grows: a tree is a fan-out of fan-outs
            known = {each.workflow_id for each in self._parents}
            more = [each for each in parent.open_parents if each not in known][: MAX_PARENTS - len(known)]
            self._parents += await self._describer.open_of(more, with_events=True)
        wanted = [info.execution.workflow_id for info in below if has_reported_problem(info)]
        wanted += [*self._beside, *oldest_children(self._parents, MAX_CHILDREN)]
        wanted += [info.execution.workflow_id for info in below]
        known = {each.workflow_id for each in (*self._parents, *self._children)}
        others = [each for each in dict.fromkeys(wanted) if each not in known]
        self._children += await self._describer.open_of(others[:MAX_OTHERS])

    async def findings(self) -> list[Finding]:
        """Check workflows, then the queues in which tasks wait, then the progress of parents."""
        found = list[Finding]()
        for workflow in (*self._parents, *self._children):
            found += workflow_checks.check_workflow(workflow, self._workers)
        for workflow in self._parents:
            found += parent_checks.check_parent(workflow)
        waiting = waiting_tasks((*self._parents, *self._children))
        queues = await asyncio.gather(*(self._queue(name, kind, since) for (name, kind), since in waiting.items()))
        found += [finding for of_queue in queues for finding in of_queue]
        found += check_workers(used_queues((*self._parents, *self._children)), self._workers, self._describer.now)
        if any(finding.code in NOBODY_ANSWERS for finding in found):
            return found
        answers = await asyncio.gather(*(self._progress(workflow) for workflow in self._parents))
        progress = [
            (workflow, answer) for workflow, answer in zip(self._parents, answers, strict=True) if answer is not None
        ]
        return found + parent_checks.check_progress(progress, self._children, has_fault=bool(found))

    async def _queue(self, name: str, kind: QueueKind, since: datetime) -> list[Finding]:
        return check_queue(await describe_queue(self._client, name, kind, self._workers, self._describer.now), since)

    async def _progress(self, parent: WorkflowSnapshot) -> Progress | None:
        """Query a parent for its progress; None where no worker answers, or the workflow does not know the query."""
        if parent.description.HasField("pending_workflow_task"):
            return None
        handle = self._client.get_workflow_handle(parent.workflow_id)
        try:
            progress: Progress = await handle.query(PROGRESS_QUERY, result_type=Progress, rpc_timeout=QUERY_TIMEOUT)
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return None
        return progress
