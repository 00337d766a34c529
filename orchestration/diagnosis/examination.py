"""Diagnosis: why a batch, or one node of it, makes no progress. Describes parents, their oldest children, and queues.

Describing uses the raw RPCs, as client.reader does. The checks of workflows, parents and queues judge the snapshots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryReverseRequest,
)
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.task_queues import QueueKind, WorkerSnapshot, describe_queue, list_workers
from orchestration.contracts.messages import Progress
from orchestration.contracts.names import PROGRESS_QUERY
from orchestration.diagnosis import parent_checks, workflow_checks
from orchestration.diagnosis.findings import Finding, FindingCode, merge_findings
from orchestration.diagnosis.queue_checks import check_queue
from orchestration.diagnosis.snapshot import WorkflowSnapshot, oldest_children, waiting_tasks
from orchestration.temporal.connection import RPC_TIMEOUT, unavailable
from orchestration.temporal.data_converter import decode_details, decode_failure

MAX_PARENTS = 8
MAX_CHILDREN = 5
"""The oldest open ones: whatever delays a batch has delayed them longest."""

MAX_EVENTS = 100
QUERY_TIMEOUT = timedelta(seconds=2)

NOBODY_ANSWERS = (FindingCode.NO_WORKER, FindingCode.WORKER_LOST)
"""With one of these findings nobody answers a query."""

OPEN = (
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED,
)


async def diagnose(client: Client, workflow_id: str) -> list[Finding]:
    """Return why a workflow and those below it make no progress, gravest first; empty when no reason is known.

    Raises TemporalUnavailable.
    """
    with unavailable():
        now, workers = datetime.now(UTC), await list_workers(client)
        examination = _Examination(client, workers, now)
        first = await examination.describe(workflow_id)
        if first is None:
            return [workflow_checks.not_started(workflow_id)]
        if first.info.status not in OPEN:
            return [workflow_checks.already_closed(first)]
        await examination.collect(first)
        return merge_findings(await examination.findings())


class _Examination:
    """One diagnosis: snapshots of parents and children, and the findings from them."""

    def __init__(self, client: Client, workers: Sequence[WorkerSnapshot], now: datetime) -> None:
        self._client, self._workers, self._now = client, workers, now
        self._parents: list[WorkflowSnapshot] = []
        self._children: list[WorkflowSnapshot] = []

    async def describe(self, workflow_id: str, *, with_events: bool = False) -> WorkflowSnapshot | None:
        """Return a snapshot of a workflow's newest run, or None when Temporal knows none.

        It has events if they are requested, or if a workflow task has failed.
        """
        request = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        try:
            description = await self._client.workflow_service.describe_workflow_execution(request, timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        for pending in description.pending_activities:
            await decode_failure(self._client, pending.last_failure)
            await decode_details(self._client, pending.heartbeat_details)
        workflow = WorkflowSnapshot(description, (), self._now)
        if not with_events and description.pending_workflow_task.attempt < 2:
            return workflow
        return await self._with_events(workflow)

    async def _with_events(self, workflow: WorkflowSnapshot) -> WorkflowSnapshot:
        history = await self._client.workflow_service.get_workflow_execution_history_reverse(
            GetWorkflowExecutionHistoryReverseRequest(
                namespace=self._client.namespace,
                execution=workflow.info.execution,
                maximum_page_size=MAX_EVENTS,
            ),
            timeout=RPC_TIMEOUT,
        )
        for event in history.history.events:
            if event.HasField("workflow_task_failed_event_attributes"):
                await decode_failure(self._client, event.workflow_task_failed_event_attributes.failure)
        return WorkflowSnapshot(workflow.description, history.history.events, self._now)

    async def collect(self, first: WorkflowSnapshot) -> None:
        """Take snapshots of the open parents from one downwards, and of their oldest children."""
        if not first.is_parent:
            self._children = [first]
            return
        self._parents = [await self._with_events(first)]
        for parent in self._parents:  # grows: a tree is a fan-out of fan-outs
            below = parent.open_parents[: MAX_PARENTS - len(self._parents)]
            self._parents += await self._open_of(below, with_events=True)
        self._children = await self._open_of(oldest_children(self._parents, MAX_CHILDREN))

    async def _open_of(self, workflow_ids: Sequence[str], *, with_events: bool = False) -> list[WorkflowSnapshot]:
        found = await asyncio.gather(*(self.describe(each, with_events=with_events) for each in workflow_ids))
        return [workflow for workflow in found if workflow is not None and workflow.info.status in OPEN]

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
        if any(finding.code in NOBODY_ANSWERS for finding in found):
            return found
        answers = await asyncio.gather(*(self._progress(workflow) for workflow in self._parents))
        progress = [
            (workflow, answer) for workflow, answer in zip(self._parents, answers, strict=True) if answer is not None
        ]
        return found + parent_checks.check_progress(progress, self._children, has_fault=bool(found))

    async def _queue(self, name: str, kind: QueueKind, since: datetime) -> list[Finding]:
        return check_queue(await describe_queue(self._client, name, kind, self._workers, self._now), since)

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
