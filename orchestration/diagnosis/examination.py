"""Diagnosis: why a batch, or one node of it, does not move. Looks at parents, their oldest children, and queues.

Describing uses the raw RPCs (see gateway). What is seen is judged elsewhere: a workflow by `symptoms`, a parent by
`hold_ups`, queues by `task_queues`.
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
from orchestration.diagnosis.findings import Finding, FindingCode, merged
from orchestration.diagnosis.queue_checks import queue_findings
from orchestration.diagnosis.snapshot import WorkflowSnapshot, oldest_children, waiting_tasks
from orchestration.temporal.connection import RPC_TIMEOUT, unavailable
from orchestration.temporal.data_converter import decode_failure

PARENTS_LOOKED_AT = 8
CHILDREN_LOOKED_AT = 5
"""The oldest open ones: what holds a batch up, holds them up longest."""

EVENTS_LOOKED_AT = 100
QUERY_TIMEOUT = timedelta(seconds=2)

UNANSWERED = (FindingCode.NO_WORKER, FindingCode.WORKER_LOST)
"""With these nobody would answer a query."""

OPEN = (
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED,
)


async def diagnose(client: Client, workflow_id: str) -> list[Finding]:
    """Return what keeps a workflow and those below it from moving, gravest first; nothing when nothing is known to.

    Raises TemporalUnavailable.
    """
    with unavailable():
        now, workers = datetime.now(UTC), await list_workers(client)
        examination = _Examination(client, workers, now)
        first = await examination.look(workflow_id)
        if first is None:
            return [workflow_checks.not_started(workflow_id)]
        if first.info.status not in OPEN:
            return [workflow_checks.closed(first)]
        await examination.go_through(first)
        return merged(await examination.findings())


class _Examination:
    """One diagnosis: what was seen of each workflow, and from it the findings."""

    def __init__(self, client: Client, workers: Sequence[WorkerSnapshot], now: datetime) -> None:
        self._client, self._workers, self._now = client, workers, now
        self._parents: list[WorkflowSnapshot] = []
        self._children: list[WorkflowSnapshot] = []

    async def look(self, workflow_id: str, *, with_events: bool = False) -> WorkflowSnapshot | None:
        """Return what Temporal shows of a workflow's newest run, or None when it knows none.

        Events come, newest first, where they are asked for or a workflow task has failed.
        """
        request = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        try:
            shown = await self._client.workflow_service.describe_workflow_execution(request, timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        for pending in shown.pending_activities:
            await decode_failure(self._client, pending.last_failure)
        seen = WorkflowSnapshot(shown, (), self._now)
        if not with_events and shown.pending_workflow_task.attempt < 2:
            return seen
        return await self._with_events(seen)

    async def _with_events(self, seen: WorkflowSnapshot) -> WorkflowSnapshot:
        history = await self._client.workflow_service.get_workflow_execution_history_reverse(
            GetWorkflowExecutionHistoryReverseRequest(
                namespace=self._client.namespace,
                execution=seen.info.execution,
                maximum_page_size=EVENTS_LOOKED_AT,
            ),
            timeout=RPC_TIMEOUT,
        )
        for event in history.history.events:
            if event.HasField("workflow_task_failed_event_attributes"):
                await decode_failure(self._client, event.workflow_task_failed_event_attributes.failure)
        return WorkflowSnapshot(seen.shown, history.history.events, self._now)

    async def go_through(self, first: WorkflowSnapshot) -> None:
        """Look at the open parents from one on downwards, and at their oldest children."""
        if not first.is_parent:
            self._children = [first]
            return
        self._parents = [await self._with_events(first)]
        for parent in self._parents:  # grows: a tree is a fan-out of fan-outs
            below = parent.open_parents[: PARENTS_LOOKED_AT - len(self._parents)]
            self._parents += await self._open_of(below, with_events=True)
        self._children = await self._open_of(oldest_children(self._parents, CHILDREN_LOOKED_AT))

    async def _open_of(self, workflow_ids: Sequence[str], *, with_events: bool = False) -> list[WorkflowSnapshot]:
        found = await asyncio.gather(*(self.look(each, with_events=with_events) for each in workflow_ids))
        return [seen for seen in found if seen is not None and seen.info.status in OPEN]

    async def findings(self) -> list[Finding]:
        """Judge what was seen: workflows, then the queues that something waits in, then what holds parents back."""
        found = list[Finding]()
        for seen in (*self._parents, *self._children):
            found += workflow_checks.of_workflow(seen, self._workers)
        for seen in self._parents:
            found += parent_checks.of_parent(seen)
        waiting = waiting_tasks((*self._parents, *self._children))
        queues = await asyncio.gather(*(self._queue(name, kind, since) for (name, kind), since in waiting.items()))
        found += [finding for of_queue in queues for finding in of_queue]
        if any(finding.code in UNANSWERED for finding in found):
            return found
        answers = await asyncio.gather(*(self._ask(seen) for seen in self._parents))
        progress = [(seen, answer) for seen, answer in zip(self._parents, answers, strict=True) if answer is not None]
        return found + parent_checks.held(progress, self._children, has_fault=bool(found))

    async def _queue(self, name: str, kind: QueueKind, since: datetime) -> list[Finding]:
        return queue_findings(await describe_queue(self._client, name, kind, self._workers, self._now), since)

    async def _ask(self, parent: WorkflowSnapshot) -> Progress | None:
        """Query a parent for its progress; None where nobody answers in its stead, or it does not know the query."""
        if parent.shown.HasField("pending_workflow_task"):
            return None
        handle = self._client.get_workflow_handle(parent.workflow_id)
        try:
            progress: Progress = await handle.query(PROGRESS_QUERY, result_type=Progress, rpc_timeout=QUERY_TIMEOUT)
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return None
        return progress
