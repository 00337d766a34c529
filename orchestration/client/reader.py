"""Asking: what the dashboard may know of Temporal. A call ends within RPC_TIMEOUT or says that Temporal is away.

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

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ContinueAsNewInitiator, HistoryEventFilterType, WorkflowExecutionStatus
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    ListWorkersRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.root_workflows import FLOWS
from orchestration.client.task_queues import QueueSnapshot, describe_queues
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.events import TreeEvent
from orchestration.contracts.fan_out import FanOutResult
from orchestration.contracts.messages import Progress
from orchestration.contracts.names import CHILD_TASK_QUEUE
from orchestration.contracts.status import Failure, Status
from orchestration.contracts.workflow_ids import WorkflowTree, is_canopy_id, may_continue_as_new, root_id
from orchestration.errors.failures import failure_of
from orchestration.temporal.connection import (
    RPC_TIMEOUT,
    BatchNotRunning,
    Connection,
    TemporalUnavailable,
    not_running,
    unavailable,
)
from orchestration.temporal.data_converter import data_converter
from orchestration.workflows.delegate import DelegateWorkflow
from orchestration.workflows.fan_out import FanOutWorkflow
from orchestration.workflows.saga import ItemSagaWorkflow

log = logging.getLogger(__name__)

PAGE_SIZE = 1_000

FIRST_EVENTS = 100
"""A run's first completed workflow task is among them."""

NOT_CONTINUED = "ExecutionStatus != 'ContinuedAsNew'"

CONTINUED_BY_ITSELF = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW
CONTINUED_AS_NEW = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW

STATUS_NAMES = {
    "Running": Status.RUNNING,
    "Completed": Status.COMPLETED,
    "Failed": Status.FAILED,
    "Canceled": Status.CANCELED,
    "Terminated": Status.TERMINATED,
    "TimedOut": Status.TIMED_OUT,
    "ContinuedAsNew": Status.COMPLETED,
    "Paused": Status.RUNNING,
}
"""Temporal's execution statuses, as visibility spells them, in ours."""

STATUS_NUMBERS = dict(
    enumerate(("Running", "Completed", "Failed", "Canceled", "Terminated", "ContinuedAsNew", "TimedOut", "Paused"), 1)
)
"""The same as the RPCs number them (temporal.api.enums.v1.WorkflowExecutionStatus)."""


@dataclass(frozen=True)
class TemporalHealth:
    """Whether Temporal answers, and the age in seconds of the newest heartbeat of a worker of the child queue."""

    reachable: bool
    error: str = ""
    worker_heartbeat_age: float | None = None


REPORTING_WORKFLOWS = {each.__name__ for each in (FanOutWorkflow, ItemSagaWorkflow, DelegateWorkflow, *FLOWS.values())}
"""The types of workflow that answer the query `untold`."""

CLOSED_BY_WORKFLOW = (Status.COMPLETED, Status.FAILED, Status.CANCELED)


class TemporalReader:
    """One connection to Temporal, made when first needed and kept, and the questions that it answers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: Client | None = None

    async def client(self) -> Client:
        """Return the client. Raises TemporalUnavailable when the first connection fails."""
        if self._client is None:
            connection = self._connection
            with unavailable():
                async with asyncio.timeout(RPC_TIMEOUT.total_seconds()):
                    self._client = await Client.connect(
                        connection.address,
                        namespace=connection.namespace,
                        api_key=connection.api_key or None,
                        tls=connection.tls or None,
                        data_converter=data_converter(),
                    )
        return self._client

    async def _root(self, batch_id: str) -> WorkflowHandle[FanOutWorkflow, FanOutResult]:
        return (await self.client()).get_workflow_handle_for(FanOutWorkflow.run, root_id(batch_id))

    async def progress(self, batch_id: str) -> Progress:
        """Return what the root's newest run says of its direct children. Raises BatchNotRunning."""
        with unavailable(), not_running():
            return await (await self._root(batch_id)).query(FanOutWorkflow.progress, rpc_timeout=RPC_TIMEOUT)

    async def queues(self, names: Iterable[str]) -> list[QueueSnapshot]:
        """Return the task queues that are named or served, both kinds of each. Raises TemporalUnavailable."""
        return await describe_queues(await self.client(), names)

    async def wait_closed(self, batch_id: str, run_id: str = "") -> WorkflowRun:
        """Wait until a run of the root (the newest, when none is named) has closed. Raises BatchNotRunning."""
        client = await self.client()
        handle = client.get_workflow_handle(root_id(batch_id), run_id=run_id or None)
        with unavailable(), not_running(), suppress(WorkflowFailureError):
            await handle.result()
        seen = await self.describe_run(root_id(batch_id), run_id)
        if seen is None:
            raise BatchNotRunning(batch_id)
        return seen

    async def describe_run(self, workflow_id: str, run_id: str = "") -> WorkflowRun | None:
        """Return a run (the newest, when none is named) with its failure, or None when Temporal knows none.

        Runs that were continued as new are one, with the first one's id and start.
        """
        info = await self._describe(workflow_id, run_id)
        while info is not None and info.status == CONTINUED_AS_NEW:
            info = await self._describe(workflow_id, await self._next_run(workflow_id, info.execution.run_id))
        if info is None:
            return None
        seen = _run_seen(info)
        failure = await self.failure_of(workflow_id, seen.run_id) if seen.status.is_retryable else None
        first_id = await self._known_as(info)
        first = await self._describe(workflow_id, first_id) if first_id != seen.run_id else None
        began = _time(first.start_time) if first is not None else seen.started_at
        return replace(seen, run_id=first_id, started_at=began, failure=failure)

    async def _known_as(self, info: WorkflowExecutionInfo) -> str:
        """Return the id by which a run is known: that of the first of those that were continued as new.

        Only ours are known not to be Temporal's retries or a cron's runs; the first event of another one's tells.
        """
        name, run_id, first = info.execution.workflow_id, str(info.execution.run_id), str(info.first_run_id)
        if first in ("", run_id):
            return run_id
        if is_canopy_id(name):
            return first if may_continue_as_new(name) else run_id
        began = (await self.events(name, run_id))[0].workflow_execution_started_event_attributes
        return first if began.initiator == CONTINUED_BY_ITSELF else run_id

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
        """Return the id of the run that goes on where another one was continued as new."""
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
        """Return why a closed run did not complete, or None when it did or is gone."""
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

    async def untold(self, seen: WorkflowRun) -> list[TreeEvent]:
        """Return the events that a parent closed with before they arrived; none where no worker is there to say."""
        if seen.workflow_type not in REPORTING_WORKFLOWS or seen.status not in CLOSED_BY_WORKFLOW:
            return []
        handle = (await self.client()).get_workflow_handle(seen.workflow_id)
        try:
            with unavailable():
                events: list[TreeEvent] = await handle.query(FanOutWorkflow.untold, rpc_timeout=RPC_TIMEOUT)
        except (TemporalUnavailable, RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            log.warning("%s cannot be asked for what it has not told: %s", seen.workflow_id, error)
            return []
        return events

    async def count_runs(self, tree: WorkflowTree) -> dict[Status, int]:
        """Return how many runs of a tree's workflows visibility knows, by status; a chain that goes on counts once."""
        client = await self.client()
        with unavailable():
            answer = await client.workflow_service.count_workflow_executions(
                CountWorkflowExecutionsRequest(
                    namespace=client.namespace,
                    query=f"{_runs_of(tree)} AND {NOT_CONTINUED} GROUP BY ExecutionStatus",
                ),
                timeout=RPC_TIMEOUT,
            )
        counts = dict[Status, int]()
        for group in answer.groups:
            status = STATUS_NAMES[json.loads(group.group_values[0].data)]
            counts[status] = counts.get(status, 0) + group.count
        return counts

    async def runs(
        self, tree: WorkflowTree, *, started_since: datetime | None = None, closed_since: datetime | None = None
    ) -> AsyncIterator[WorkflowRun]:
        """Yield the runs of a tree's workflows that started or closed since a time, most of them without failures."""
        chains = {seen.workflow_id async for seen in self.listed(f"{_runs_of(tree)} AND NOT {NOT_CONTINUED}")}
        query = f"{_runs_of(tree)} AND {NOT_CONTINUED}"
        if started_since is not None:
            query += f' AND StartTime >= "{started_since.isoformat()}"'
        if closed_since is not None:
            query += f' AND CloseTime >= "{closed_since.isoformat()}"'
        async for seen in self.listed(query):
            is_chain = seen.workflow_id in chains
            yield (await self.describe_run(seen.workflow_id, seen.run_id) if is_chain else None) or seen

    async def listed(self, query: str) -> AsyncIterator[WorkflowRun]:
        """Yield the runs that a query of visibility finds, newest start first."""
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
                yield _run_seen(info)
            token = page.next_page_token
            if not token:
                return

    async def health(self) -> TemporalHealth:
        """Tell whether Temporal answers and how fresh the workers' heartbeats are. Raises nothing."""
        try:
            client = await self.client()
            with unavailable():
                answer = await client.workflow_service.list_workers(
                    ListWorkersRequest(namespace=client.namespace, query=f"TaskQueue = '{CHILD_TASK_QUEUE}'"),
                    timeout=RPC_TIMEOUT,
                )
        except TemporalUnavailable as error:
            return TemporalHealth(reachable=False, error=str(error))
        beats = [_time(info.worker_heartbeat.heartbeat_time) for info in answer.workers_info]
        if not beats:
            return TemporalHealth(reachable=True)
        age = (datetime.now(UTC) - max(beats)).total_seconds()
        return TemporalHealth(reachable=True, worker_heartbeat_age=max(0.0, age))


def quoted(text: str) -> str:
    """Return a text as a query of visibility takes it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _runs_of(tree: WorkflowTree) -> str:
    """Return the query of a tree's runs."""
    since = f' AND StartTime >= "{tree.since.isoformat()}"' if tree.since is not None else ""
    return f"RootWorkflowId = {quoted(tree.root)}{since}"


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def _run_seen(info: WorkflowExecutionInfo) -> WorkflowRun:
    return WorkflowRun(
        workflow_id=info.execution.workflow_id,
        run_id=info.execution.run_id,
        status=STATUS_NAMES[STATUS_NUMBERS[info.status]],
        started_at=_time(info.start_time),
        closed_at=_time(info.close_time) if info.HasField("close_time") else None,
        workflow_type=info.type.name,
        parent=info.parent_execution.workflow_id,
        root=info.root_execution.workflow_id,
        task_queue=info.task_queue,
    )
