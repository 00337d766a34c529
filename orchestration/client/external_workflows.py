"""External workflows, which Canopy did not launch: suggestions of roots and types, and the reset of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import islice

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.reader import TemporalReader
from orchestration.client.visibility import quoted
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.workflow_ids import is_canopy_id
from orchestration.temporal.commands import Inquiry, InquiryKind, commanded, require_answer
from orchestration.temporal.connection import RPC_TIMEOUT, searching

SCANNED_EXECUTIONS = 2_000
"""The newest executions, among which suggestions are searched: visibility has no DISTINCT."""

SUGGESTIONS = 50

RESETTABLE = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
)
"""Events that a run can be reset to; the first of them is its beginning."""

ROOT_QUERIES = ("RootWorkflowId NOT STARTS_WITH 'batch-'", "RootWorkflowId STARTS_WITH 'batch-'")
"""Queries of runs that are certainly external, and of those that may be: one query would fill up with either."""


@dataclass(frozen=True)
class WorkflowType:
    """A workflow type, and a task queue on which a workflow of this type has run."""

    name: str
    task_queue: str


class ResetRefused(Exception):
    """Temporal cannot reset a run; the message is the reason for a person."""


class ExternalWorkflows:
    """The external workflows of the namespace."""

    def __init__(self, reader: TemporalReader) -> None:
        self._reader = reader

    async def parents(self, text: str = "") -> list[WorkflowRun]:
        """Return roots with recently started children whose id or type contains the text, newest first.

        Raises TemporalUnavailable, or TemporalSlow where only the search has no answer.
        """
        async with searching(self._reader.client):
            return await self._parents(text)

    async def _parents(self, text: str) -> list[WorkflowRun]:
        children = self._external_runs(" AND ParentWorkflowId IS NOT NULL")
        roots = list(dict.fromkeys([run.root async for run in children]))
        wanted = text.casefold()
        found = list[WorkflowRun]()
        for names in (roots[first : first + SUGGESTIONS] for first in range(0, len(roots), SUGGESTIONS)):
            newest = dict[str, WorkflowRun]()
            async for run in self._newest(f"WorkflowId IN ({', '.join(map(quoted, names))})"):
                newest.setdefault(run.workflow_id, run)
            found += [
                each for each in newest.values() if wanted in f"{each.workflow_id} {each.workflow_type}".casefold()
            ]
            if len(found) >= SUGGESTIONS:
                break
        return sorted(found, key=lambda run: run.started_at, reverse=True)[:SUGGESTIONS]

    async def types(self, text: str = "") -> list[WorkflowType]:
        """Return the recently started workflow types that contain the text, with their task queues, by name."""
        wanted = text.casefold()
        types = {
            WorkflowType(run.workflow_type, run.task_queue)
            async for run in self._external_runs()
            if wanted in run.workflow_type.casefold()
        }
        return list(islice(sorted(types, key=lambda each: (each.name, each.task_queue)), SUGGESTIONS))

    async def _external_runs(self, condition: str = "") -> AsyncIterator[WorkflowRun]:
        for roots in ROOT_QUERIES:
            async for run in self._newest(roots + condition):
                if not is_canopy_id(run.root):
                    yield run

    async def _newest(self, query: str) -> AsyncIterator[WorkflowRun]:
        number = 0
        async for run in self._reader.list_runs(query):
            number += 1
            if number > SCANNED_EXECUTIONS:
                return
            yield run

    async def reset(self, workflow_id: str, run_id: str, reason: str) -> str:
        """Reset a closed run to its beginning, and return the id of the new run; idempotent for the same run.

        The new run has the same input and the same parent. Raises ResetRefused, TemporalUnavailable.
        """
        newest = await self._reader.describe_run(workflow_id)
        if newest is None or newest.run_id != run_id or not newest.status.is_retryable:
            raise ResetRefused("it is already running again, or Temporal no longer has it")
        events = await self._reader.events(workflow_id, run_id)
        start = next((event.event_id for event in events if event.event_type in RESETTABLE), None)
        if start is None:
            raise ResetRefused("no worker had started it, so Temporal has no point to restart it from")
        client = await self._reader.client()
        await require_answer(client)
        with commanded(Inquiry(InquiryKind.RESET, workflow_id, run_id)):
            try:
                answer = await client.workflow_service.reset_workflow_execution(
                    ResetWorkflowExecutionRequest(
                        namespace=client.namespace,
                        workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
                        reason=reason,
                        workflow_task_finish_event_id=start,
                        request_id=f"again-{run_id}",
                    ),
                    timeout=RPC_TIMEOUT,
                )
            except RPCError as error:
                if error.status in (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.NOT_FOUND):
                    raise ResetRefused(error.message) from error
                raise
        return str(answer.run_id)
