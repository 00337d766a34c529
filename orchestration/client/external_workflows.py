"""What the dashboard asks of Temporal about workflows that Canopy did not launch: which there are, and to run again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import islice

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.reader import TemporalReader, quoted
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.workflow_ids import is_canopy_id
from orchestration.temporal.connection import RPC_TIMEOUT, unavailable

SCANNED_EXECUTIONS = 2_000
"""Executions that suggestions are drawn from, the newest: visibility cannot tell distinct ones."""

SUGGESTIONS = 50

RESETTABLE = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
)
"""Events that a run can be started again from; the first of them is its beginning."""

ROOT_QUERIES = ("RootWorkflowId NOT STARTS_WITH 'batch-'", "RootWorkflowId STARTS_WITH 'batch-'")
"""Queries of what is certainly not ours, and of what may be: in one they would crowd each other out."""


@dataclass(frozen=True)
class WorkflowType:
    """A type of workflow, and a task queue that one of this type was on."""

    name: str
    task_queue: str


class ResetRefused(Exception):
    """Why Temporal cannot start a run again: a reason for a person."""


class ExternalWorkflows:
    """Everybody else's workflows in the namespace."""

    def __init__(self, gateway: TemporalReader) -> None:
        self._gateway = gateway

    async def parents(self, text: str = "") -> list[WorkflowRun]:
        """Return roots that have children, of which one started lately, newest first; their id or type has the text."""
        roots = list(dict.fromkeys([seen.root async for seen in self._others(" AND ParentWorkflowId IS NOT NULL")]))
        wanted = text.casefold()
        found = list[WorkflowRun]()
        for names in (roots[first : first + SUGGESTIONS] for first in range(0, len(roots), SUGGESTIONS)):
            newest = dict[str, WorkflowRun]()
            async for seen in self._newest(f"WorkflowId IN ({', '.join(map(quoted, names))})"):
                newest.setdefault(seen.workflow_id, seen)
            found += [
                each for each in newest.values() if wanted in f"{each.workflow_id} {each.workflow_type}".casefold()
            ]
            if len(found) >= SUGGESTIONS:
                break
        return sorted(found, key=lambda seen: seen.started_at, reverse=True)[:SUGGESTIONS]

    async def types(self, text: str = "") -> list[WorkflowType]:
        """Return the types of workflow started lately, with the queues that they were on, by name."""
        wanted = text.casefold()
        seen = {
            WorkflowType(run.workflow_type, run.task_queue)
            async for run in self._others()
            if wanted in run.workflow_type.casefold()
        }
        return list(islice(sorted(seen, key=lambda each: (each.name, each.task_queue)), SUGGESTIONS))

    async def _others(self, condition: str = "") -> AsyncIterator[WorkflowRun]:
        for roots in ROOT_QUERIES:
            async for seen in self._newest(roots + condition):
                if not is_canopy_id(seen.root):
                    yield seen

    async def _newest(self, query: str) -> AsyncIterator[WorkflowRun]:
        number = 0
        async for seen in self._gateway.listed(query):
            number += 1
            if number > SCANNED_EXECUTIONS:
                return
            yield seen

    async def run_again(self, workflow_id: str, run_id: str, why: str) -> str:
        """Start a closed run again from its beginning, with the same input and below the same parent; return the id
        of the new run. The same run again gives the same new one.

        Raises CannotRunAgain, TemporalUnavailable.
        """
        newest = await self._gateway.describe_run(workflow_id)
        if newest is None or newest.run_id != run_id or not newest.status.is_retryable:
            raise ResetRefused("it goes on already, or Temporal no longer knows it")
        events = await self._gateway.events(workflow_id, run_id)
        begin = next((event.event_id for event in events if event.event_type in RESETTABLE), None)
        if begin is None:
            raise ResetRefused("no worker had begun it, so there is nothing that Temporal could start again from")
        client = await self._gateway.client()
        with unavailable():
            try:
                answer = await client.workflow_service.reset_workflow_execution(
                    ResetWorkflowExecutionRequest(
                        namespace=client.namespace,
                        workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
                        reason=why,
                        workflow_task_finish_event_id=begin,
                        request_id=f"again-{run_id}",
                    ),
                    timeout=RPC_TIMEOUT,
                )
            except RPCError as error:
                if error.status in (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.NOT_FOUND):
                    raise ResetRefused(error.message) from error
                raise
        return str(answer.run_id)
