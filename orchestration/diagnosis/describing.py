"""Describing workflows by the raw RPCs, as client.reader does: snapshots, and which workflows of a tree are open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    GetWorkflowExecutionHistoryReverseRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.describing import describe
from orchestration.client.visibility import IS_OPEN, REPORTED_PROBLEMS, is_of, run_of, tree_query
from orchestration.contracts.workflow_ids import WorkflowTree
from orchestration.diagnosis.snapshot import WorkflowSnapshot
from orchestration.temporal.connection import RPC_TIMEOUT
from orchestration.temporal.data_converter import decode_details, decode_failure

MAX_EVENTS = 100
LISTED = 1_000
"""Open workflows of a tree that are looked at: one page, the newest; of the others those with a reported problem."""

AT_ONCE = 20
"""Concurrent requests of one look."""

OPEN = (
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED,
)


@dataclass(frozen=True)
class Describer:
    """Describes workflows at one time, `now`."""

    client: Client
    now: datetime

    @classmethod
    def of(cls, client: Client) -> Describer:
        """Return one for this moment."""
        return cls(client, datetime.now(UTC))

    async def describe(self, workflow_id: str, *, with_events: bool = False) -> WorkflowSnapshot | None:
        """Return a snapshot of a workflow's newest run, or None when Temporal knows none.

        It has events if they are requested, or if a workflow task has failed.
        """
        description = await describe(self.client, workflow_id)
        if description is None:
            return None
        for pending in description.pending_activities:
            await decode_failure(self.client, pending.last_failure)
            await decode_details(self.client, pending.heartbeat_details)
        workflow = WorkflowSnapshot(description, (), self.now)
        if not with_events and description.pending_workflow_task.attempt < 2:
            return workflow
        return await self.with_events(workflow)

    async def with_events(self, workflow: WorkflowSnapshot) -> WorkflowSnapshot:
        """Return a snapshot with the newest events of its history."""
        history = await self.client.workflow_service.get_workflow_execution_history_reverse(
            GetWorkflowExecutionHistoryReverseRequest(
                namespace=self.client.namespace,
                execution=workflow.info.execution,
                maximum_page_size=MAX_EVENTS,
            ),
            timeout=RPC_TIMEOUT,
        )
        for event in history.history.events:
            if event.HasField("workflow_task_failed_event_attributes"):
                await decode_failure(self.client, event.workflow_task_failed_event_attributes.failure)
        return WorkflowSnapshot(workflow.description, history.history.events, self.now)

    async def open_of(self, workflow_ids: Iterable[str], *, with_events: bool = False) -> list[WorkflowSnapshot]:
        """Return snapshots of those workflows that are open, in their order."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one(workflow_id: str) -> WorkflowSnapshot | None:
            async with places:
                return await self.describe(workflow_id, with_events=with_events)

        found = await asyncio.gather(*(one(each) for each in workflow_ids))
        return [workflow for workflow in found if workflow is not None and workflow.info.status in OPEN]

    async def open_below(self, above: WorkflowSnapshot) -> list[WorkflowExecutionInfo]:
        """Return the open workflows at any depth below one: those with a reported problem first, then the oldest."""
        root = above.info.root_execution.workflow_id or above.workflow_id
        tree = WorkflowTree(root)
        infos = await self.listed(f"{tree_query(tree)} AND {IS_OPEN}")
        if len(infos) >= LISTED:
            infos += await self.listed(f"{tree_query(tree)} AND {IS_OPEN} AND {REPORTED_PROBLEMS}")
        infos = [info for info in infos if is_of(run_of(info), tree)]
        by_id = {info.execution.workflow_id: info for info in reversed(infos)}
        by_id.pop(above.workflow_id, None)
        found = [info for info in by_id.values() if root == above.workflow_id or _is_below(info, above, by_id)]
        return sorted(found, key=lambda info: (not has_reported_problem(info), info.start_time.ToNanoseconds()))

    async def listed(self, query: str) -> list[WorkflowExecutionInfo]:
        """Return the newest LISTED executions that a visibility query finds; none where the server refuses it."""
        request = ListWorkflowExecutionsRequest(namespace=self.client.namespace, page_size=LISTED, query=query)
        try:
            page = await self.client.workflow_service.list_workflow_executions(request, timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                return []
            raise
        return list(page.executions)


async def open_workflows(client: Client, tree: WorkflowTree, size: int, page: bytes) -> tuple[list[str], bytes]:
    """Return a page of the open workflows of a tree, and what names the next one; empty after the last."""
    found = await client.workflow_service.list_workflow_executions(
        ListWorkflowExecutionsRequest(
            namespace=client.namespace,
            page_size=size,
            next_page_token=page,
            query=f"{tree_query(tree)} AND {IS_OPEN}",
        ),
        timeout=RPC_TIMEOUT,
    )
    of_tree = [info.execution.workflow_id for info in found.executions if is_of(run_of(info), tree)]
    return of_tree, found.next_page_token


def has_reported_problem(info: WorkflowExecutionInfo) -> bool:
    """Whether Temporal itself reports that the workflow's tasks fail: it does from the fifth time on."""
    return "TemporalReportedProblems" in info.search_attributes.indexed_fields


def _is_below(info: WorkflowExecutionInfo, above: WorkflowSnapshot, by_id: dict[str, WorkflowExecutionInfo]) -> bool:
    """Whether a workflow stands below another one, by parents that are open; the chain may not be a circle."""
    passed, parent = set[str](), info.parent_execution.workflow_id
    while parent and parent not in passed:
        if parent == above.workflow_id:
            return True
        passed.add(parent)
        parent = by_id[parent].parent_execution.workflow_id if parent in by_id else ""
    return False
