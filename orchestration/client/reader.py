"""What the dashboard reads of Temporal. A call ends within RPC_TIMEOUT, or raises TemporalUnavailable.

Listing and describing use the raw RPCs: SDK 1.35 raises ValueError on a workflow that the server has paused.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ContinueAsNewInitiator, HistoryEventFilterType, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client, WorkflowFailureError, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.root_workflows import FLOW_WORKFLOWS
from orchestration.client.task_queues import WORKER_LOST_AFTER, QueueSnapshot, describe_queues, list_workers
from orchestration.client.visibility import NOT_CONTINUED, STATUSES, run_of, tree_query
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.events import TreeEvent
from orchestration.contracts.messages import Progress
from orchestration.contracts.names import (
    CHILD_TASK_QUEUE,
    DELEGATE_WORKFLOW,
    FAN_OUT_WORKFLOW,
    ITEM_SAGA_WORKFLOW,
    PROGRESS_QUERY,
    UNDELIVERED_EVENTS_QUERY,
)
from orchestration.contracts.status import Failure, Status
from orchestration.contracts.workflow_ids import WorkflowTree, is_canopy_id, may_continue_as_new, root_id
from orchestration.errors.failures import failure_of
from orchestration.temporal.connection import (
    RPC_TIMEOUT,
    BatchNotRunning,
    Connection,
    TemporalUnavailable,
    connect,
    not_running,
    unavailable,
)
from orchestration.temporal.protobuf import to_datetime

log = logging.getLogger(__name__)

PAGE_SIZE = 1_000

FIRST_EVENTS = 100
"""A run's first completed workflow task is among them."""

CONTINUED_BY_WORKFLOW = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
CONTINUED_AS_NEW = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW

REPORTING_WORKFLOWS = {FAN_OUT_WORKFLOW, ITEM_SAGA_WORKFLOW, DELEGATE_WORKFLOW, *FLOW_WORKFLOWS.values()}
"""Types of the workflows that answer UNDELIVERED_EVENTS_QUERY."""

CLOSED_BY_WORKFLOW = (Status.COMPLETED, Status.FAILED, Status.CANCELED)
"""Outcomes that a workflow reaches by its own code; the others leave nothing to query."""


@dataclass(frozen=True)
class TemporalHealth:
    """Whether Temporal answers, and the age in seconds of the newest heartbeat of a worker of the child queue."""

    reachable: bool
    error: str = ""
    worker_heartbeat_age: float | None = None

    @property
    def has_worker(self) -> bool:
        """Whether a worker has sent a heartbeat lately."""
        return self.worker_heartbeat_age is not None and self.worker_heartbeat_age < WORKER_LOST_AFTER


class TemporalReader:
    """Reads from Temporal, over one connection that is made when it is first needed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: Client | None = None

    async def client(self) -> Client:
        """Return the client. Raises TemporalUnavailable when the first connection fails."""
        if self._client is None:
            with unavailable():
                async with asyncio.timeout(RPC_TIMEOUT.total_seconds()):
                    self._client = await connect(self._connection)
        return self._client

    async def progress(self, batch_id: str) -> Progress:
        """Return the progress of the root's newest run over its direct children. Raises BatchNotRunning."""
        handle = (await self.client()).get_workflow_handle(root_id(batch_id))
        with unavailable(), not_running():
            progress: Progress = await handle.query(PROGRESS_QUERY, result_type=Progress, rpc_timeout=RPC_TIMEOUT)
        return progress

    async def queues(self, names: Iterable[str]) -> list[QueueSnapshot]:
        """Return the named task queues and those that a live worker serves, both kinds of each.

        Raises TemporalUnavailable.
        """
        return await describe_queues(await self.client(), names)

    async def wait_closed(self, batch_id: str, run_id: str = "") -> WorkflowRun:
        """Wait until a run of the root (the newest, when none is named) has closed. Raises BatchNotRunning."""
        client = await self.client()
        handle = client.get_workflow_handle(root_id(batch_id), run_id=run_id or None)
        with unavailable(), not_running(), suppress(WorkflowFailureError):
            await handle.result()
        run = await self.describe_run(root_id(batch_id), run_id)
        if run is None:
            raise BatchNotRunning(batch_id)
        return run

    async def describe_run(self, workflow_id: str, run_id: str = "") -> WorkflowRun | None:
        """Return a run (the newest, when none is named) with its failure, or None when Temporal knows none.

        A chain of runs that were continued as new counts as one, with the id and start of its first run.
        """
        info = await self._describe(workflow_id, run_id)
        while info is not None and info.status == CONTINUED_AS_NEW:
            info = await self._describe(workflow_id, await self._next_run(workflow_id, info.execution.run_id))
        if info is None:
            return None
        run = run_of(info)
        failure = await self.failure_of(workflow_id, run.run_id) if run.status.is_retryable else None
        chain_id = await self._chain_id(info)
        first = await self._describe(workflow_id, chain_id) if chain_id != run.run_id else None
        started_at = to_datetime(first.start_time) if first is not None else run.started_at
        return replace(run, run_id=chain_id, started_at=started_at, failure=failure)

    async def _chain_id(self, info: WorkflowExecutionInfo) -> str:
        """Return the id of the first run of the chain that a run continues, or its own.

        Temporal's first_run_id spans retries and a cron's runs, too, which are no continuations. For Canopy's workflows
        the workflow id is enough to know; for external ones the run's first event says what initiated it.
        """
        name, run_id, first = info.execution.workflow_id, str(info.execution.run_id), str(info.first_run_id)
        if first in ("", run_id):
            return run_id
        if is_canopy_id(name):
            return first if may_continue_as_new(name) else run_id
        started = (await self.events(name, run_id))[0].workflow_execution_started_event_attributes
        return first if started.initiator == CONTINUED_BY_WORKFLOW else run_id

    async def _describe(self, workflow_id: str, run_id: str) -> WorkflowExecutionInfo | None:
        client = await self.client()
        with unavailable():
            try:
                answer = await client.workflow_service.describe_workflow_execution(
                    DescribeWorkflowExecutionRequest(
                        namespace=client.namespace,
                        execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
                    ),
                    timeout=RPC_TIMEOUT,
                )
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise
        return answer.workflow_execution_info

    async def _next_run(self, workflow_id: str, run_id: str) -> str:
        """Return the id of the run that continued another one as new."""
        last = (await self.events(workflow_id, run_id, only_last=True))[-1]
        return str(last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id)

    async def events(self, workflow_id: str, run_id: str, *, only_last: bool = False) -> Sequence[HistoryEvent]:
        """Return the first events of a run's history, or the one that closed it."""
        client = await self.client()
        wanted = "CLOSE_EVENT" if only_last else "ALL_EVENT"
        with unavailable():
            answer = await client.workflow_service.get_workflow_execution_history(
                GetWorkflowExecutionHistoryRequest(
                    namespace=client.namespace,
                    execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
                    history_event_filter_type=HistoryEventFilterType.Value(f"HISTORY_EVENT_FILTER_TYPE_{wanted}"),
                    maximum_page_size=FIRST_EVENTS,
                ),
                timeout=RPC_TIMEOUT,
            )
        return answer.history.events

    async def failure_of(self, workflow_id: str, run_id: str) -> Failure | None:
        """Return why a closed run did not complete, or None when it did or Temporal no longer has it."""
        client = await self.client()
        with unavailable():
            try:
                async with asyncio.timeout(RPC_TIMEOUT.total_seconds()):
                    await client.get_workflow_handle(workflow_id, run_id=run_id).result(follow_runs=False)
            except WorkflowFailureError as error:
                return failure_of(error.cause)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
        return None

    async def undelivered_events(self, run: WorkflowRun) -> list[TreeEvent]:
        """Return the events that a closed parent could not deliver; none where no worker answers the query."""
        if run.workflow_type not in REPORTING_WORKFLOWS or run.status not in CLOSED_BY_WORKFLOW:
            return []
        handle = (await self.client()).get_workflow_handle(run.workflow_id)
        try:
            with unavailable():
                events: list[TreeEvent] = await handle.query(
                    UNDELIVERED_EVENTS_QUERY, result_type=list[TreeEvent], rpc_timeout=RPC_TIMEOUT
                )
        except (TemporalUnavailable, RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            log.warning("%s cannot be queried for its undelivered events: %s", run.workflow_id, error)
            return []
        return events

    async def count_runs(self, tree: WorkflowTree) -> dict[Status, int]:
        """Count the runs of a tree in visibility by status; a chain of runs counts once."""
        client = await self.client()
        with unavailable():
            answer = await client.workflow_service.count_workflow_executions(
                CountWorkflowExecutionsRequest(
                    namespace=client.namespace,
                    query=f"{tree_query(tree)} AND {NOT_CONTINUED} GROUP BY ExecutionStatus",
                ),
                timeout=RPC_TIMEOUT,
            )
        counts = dict[Status, int]()
        for group in answer.groups:
            status = STATUSES[json.loads(group.group_values[0].data)]
            counts[status] = counts.get(status, 0) + group.count
        return counts

    async def runs(
        self, tree: WorkflowTree, *, started_since: datetime | None = None, closed_since: datetime | None = None
    ) -> AsyncIterator[WorkflowRun]:
        """Yield the runs of a tree that started or closed since a time; failures come with runs of a chain alone."""
        chains = {run.workflow_id async for run in self.list_runs(f"{tree_query(tree)} AND NOT {NOT_CONTINUED}")}
        query = f"{tree_query(tree)} AND {NOT_CONTINUED}"
        if started_since is not None:
            query += f' AND StartTime >= "{started_since.isoformat()}"'
        if closed_since is not None:
            query += f' AND CloseTime >= "{closed_since.isoformat()}"'
        async for run in self.list_runs(query):
            is_chain = run.workflow_id in chains
            yield (await self.describe_run(run.workflow_id, run.run_id) if is_chain else None) or run

    async def list_runs(self, query: str) -> AsyncIterator[WorkflowRun]:
        """Yield the runs that a visibility query finds, newest start first."""
        client, token = await self.client(), b""
        while True:
            with unavailable():
                page = await client.workflow_service.list_workflow_executions(
                    ListWorkflowExecutionsRequest(
                        namespace=client.namespace, page_size=PAGE_SIZE, next_page_token=token, query=query
                    ),
                    timeout=RPC_TIMEOUT,
                )
            for info in page.executions:
                yield run_of(info)
            token = page.next_page_token
            if not token:
                return

    async def health(self) -> TemporalHealth:
        """Return whether Temporal answers, and how old the workers' newest heartbeat is. Raises nothing."""
        try:
            with unavailable():
                workers = await list_workers(await self.client(), CHILD_TASK_QUEUE)
        except TemporalUnavailable as error:
            return TemporalHealth(reachable=False, error=str(error))
        if not workers:
            return TemporalHealth(reachable=True)
        age = datetime.now(UTC) - max(worker.heartbeat_at for worker in workers)
        return TemporalHealth(reachable=True, worker_heartbeat_age=max(0.0, age.total_seconds()))
