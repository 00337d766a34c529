"""What the dashboard asks of Temporal about workflows that Canopy did not launch: which there are, and to run again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import islice

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.reader import Asking, quoted
from orchestration.client.workflow_run import RunSeen
from orchestration.contracts.workflow_ids import is_ours
from orchestration.temporal.connection import RPC_TIMEOUT, unavailable

LOOKED_AT = 2_000
"""Executions that suggestions are drawn from, the newest: visibility cannot tell distinct ones."""

SUGGESTIONS = 50

RESETTABLE = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
)
"""Events that a run can be started again from; the first of them is its beginning."""

ROOTS = ("RootWorkflowId NOT STARTS_WITH 'batch-'", "RootWorkflowId STARTS_WITH 'batch-'")
"""Queries of what is certainly not ours, and of what may be: in one they would crowd each other out."""


@dataclass(frozen=True)
class TypeSeen:
    """A type of workflow, and a task queue that one of this type was on."""

    name: str
    task_queue: str


class CannotRunAgain(Exception):
    """Why Temporal cannot start a run again: a reason for a person."""


class Foreign:
    """Everybody else's workflows in the namespace."""

    def __init__(self, gateway: Asking) -> None:
        self._gateway = gateway

    async def parents(self, text: str = "") -> list[RunSeen]:
        """Return roots that have children, of which one started lately, newest first; their id or type has the text."""
        roots = list(dict.fromkeys([seen.root async for seen in self._others(" AND ParentWorkflowId IS NOT NULL")]))
        wanted = text.casefold()
        found = list[RunSeen]()
        for names in (roots[first : first + SUGGESTIONS] for first in range(0, len(roots), SUGGESTIONS)):
            newest = dict[str, RunSeen]()
            async for seen in self._newest(f"WorkflowId IN ({', '.join(map(quoted, names))})"):
                newest.setdefault(seen.workflow_id, seen)
            found += [
                each for each in newest.values() if wanted in f"{each.workflow_id} {each.workflow_type}".casefold()
            ]
            if len(found) >= SUGGESTIONS:
                break
        return sorted(found, key=lambda seen: seen.started_at, reverse=True)[:SUGGESTIONS]

    async def types(self, text: str = "") -> list[TypeSeen]:
        """Return the types of workflow started lately, with the queues that they were on, by name."""
        wanted = text.casefold()
        seen = {
            TypeSeen(run.workflow_type, run.task_queue)
            async for run in self._others()
            if wanted in run.workflow_type.casefold()
        }
        return list(islice(sorted(seen, key=lambda each: (each.name, each.task_queue)), SUGGESTIONS))

    async def _others(self, condition: str = "") -> AsyncIterator[RunSeen]:
        for roots in ROOTS:
            async for seen in self._newest(roots + condition):
                if not is_ours(seen.root):
                    yield seen

    async def _newest(self, query: str) -> AsyncIterator[RunSeen]:
        number = 0
        async for seen in self._gateway.listed(query):
            number += 1
            if number > LOOKED_AT:
                return
            yield seen

    async def run_again(self, workflow_id: str, run_id: str, why: str) -> str:
        """Start a closed run again from its beginning, with the same input and below the same parent; return the id
        of the new run. The same run again gives the same new one.

        Raises CannotRunAgain, TemporalUnavailable.
        """
        newest = await self._gateway.describe_run(workflow_id)
        if newest is None or newest.run_id != run_id or not newest.status.is_retryable:
            raise CannotRunAgain("it goes on already, or Temporal no longer knows it")
        events = await self._gateway.events(workflow_id, run_id)
        begin = next((event.event_id for event in events if event.event_type in RESETTABLE), None)
        if begin is None:
            raise CannotRunAgain("no worker had begun it, so there is nothing that Temporal could start again from")
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
                    raise CannotRunAgain(error.message) from error
                raise
        return str(answer.run_id)
