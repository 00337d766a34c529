"""Gateway: all that the dashboard may ask of Temporal. A call ends within RPC_TIMEOUT or says that Temporal is away.

Listing and describing use the raw RPCs: SDK 1.35 raises ValueError on a workflow that the server has paused.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
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
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.connection import (
    RPC_TIMEOUT,
    BatchNotRunning,
    BatchRunning,
    Connection,
    TemporalUnavailable,
    not_running,
    unavailable,
)
from orchestration.contracts import (
    CHILD_TASK_QUEUE,
    ChildrenAnswer,
    Decision,
    Failure,
    FanOutInput,
    FanOutResult,
    FlowInput,
    FlowState,
    Notification,
    Progress,
    Status,
    TreeEvent,
)
from orchestration.definitions import GOING_ON
from orchestration.diagnosis import diagnose
from orchestration.findings import Finding
from orchestration.foreign import Foreign, quoted
from orchestration.payloads import data_converter
from orchestration.plan import WorkflowTree, is_ours, may_continue_as_new, root_id
from orchestration.routing import RetryRouting, SkipRouting
from orchestration.run_seen import RunSeen
from orchestration.schedules import Schedules
from orchestration.supervisor import failure_of
from orchestration.task_queues import QueueSeen, look_at_all
from orchestration.workflows.delegate import DelegateWorkflow
from orchestration.workflows.fan_out import FanOutWorkflow
from orchestration.workflows.notification import NotificationWorkflow
from orchestration.workflows.pipeline import PipelineWorkflow
from orchestration.workflows.saga import ItemSagaWorkflow, SagaWorkflow
from orchestration.workflows.services import ServicesWorkflow
from orchestration.workflows.steps import StepsWorkflow

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


RootInput = FanOutInput | FlowInput

FLOWS = {
    "pipeline": PipelineWorkflow,
    "saga": SagaWorkflow,
    "services": ServicesWorkflow,
    "steps": StepsWorkflow,
}
"""The parents with a flow of their own, by the kind of their definition."""


TELLERS = {each.__name__ for each in (FanOutWorkflow, ItemSagaWorkflow, DelegateWorkflow, *FLOWS.values())}
"""The types of workflow that answer the query `untold`."""

ENDED_BY_ITSELF = (Status.COMPLETED, Status.FAILED, Status.CANCELED)


def root_workflow(root: RootInput) -> str:
    """Return the type of workflow that a batch's root is."""
    found = FanOutWorkflow if isinstance(root, FanOutInput) else FLOWS[root.definition["kind"]]
    return found.__name__


def for_retry(root: RootInput) -> RootInput:
    """Return how a closed root is started to retry: it waits for what it is told to."""
    if isinstance(root, FlowInput):
        return replace(root, is_retry=True)
    return replace(root, first=0, stop=0, children=[], cursor=None)


class Gateway:
    """One connection to Temporal, made when first needed and kept."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: Client | None = None
        self.schedules = Schedules(self.client)
        self.foreign = Foreign(self)

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

    # Doing

    async def start(self, root: RootInput) -> str:
        """Start a batch's root and return its run id; one that was started before is left as it is."""
        client = await self.client()
        with unavailable():
            try:
                handle = await client.start_workflow(
                    root_workflow(root),
                    root,
                    id=root_id(root.batch_id),
                    task_queue=CHILD_TASK_QUEUE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    memo={"batch": root.label},
                    static_summary=root.label or None,
                    rpc_timeout=RPC_TIMEOUT,
                )
            except WorkflowAlreadyStartedError as error:
                return error.run_id or ""
        return str(handle.first_execution_run_id or "")

    async def roll_back(self, root: RootInput) -> str:
        """Start a closed root again to undo what its input says, and return the run id. Raises BatchRunning."""
        client = await self.client()
        with unavailable():
            try:
                handle = await client.start_workflow(
                    root_workflow(root),
                    root,
                    id=root_id(root.batch_id),
                    task_queue=CHILD_TASK_QUEUE,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                    memo={"batch": root.label},
                    static_summary=root.label or None,
                    rpc_timeout=RPC_TIMEOUT,
                )
            except WorkflowAlreadyStartedError as error:
                raise BatchRunning("The batch is running.") from error
        return str(handle.first_execution_run_id or "")

    async def retry(
        self, root: RootInput, parents: Mapping[int, Sequence[str]], *, believed_open: Collection[str], update_id: str
    ) -> ChildrenAnswer:
        """Give children another attempt, whether their parents run or not, and say which were taken on.

        `root` is the batch's original start; `parents` the workflow ids of the stage and partition above each child
        below the root, outermost first, and `believed_open` those of them that seem to run. A flow that has closed goes
        on with what it had not done, also without any children. The same `update_id` again returns the same answer and
        starts nothing.
        """
        again = for_retry(root)
        if isinstance(again, FlowInput) and again.definition["kind"] in GOING_ON:
            again = replace(again, before=await self._state(root.batch_id))
        routing = RetryRouting(await self.client(), root_workflow(root), again, update_id)
        return await (routing.route(parents, believed_open) if parents else routing.go_on())

    async def skip_children(
        self, root: RootInput, parents: Mapping[int, Sequence[str]], *, believed_open: Collection[str], update_id: str
    ) -> ChildrenAnswer:
        """Have parents go on without children that are pending or have failed; arguments as `retry` has them.

        What no open parent is there for is `unasked`: nothing waits for it.
        """
        return await SkipRouting(await self.client(), root, update_id).route(parents, believed_open)

    async def _state(self, batch_id: str) -> FlowState:
        """Return what the newest run of a flow had done. Raises TemporalUnavailable, also without a worker to ask."""
        handle = (await self.client()).get_workflow_handle(root_id(batch_id))
        with unavailable():
            state: FlowState = await handle.query(StepsWorkflow.state, rpc_timeout=RPC_TIMEOUT)
        return state

    async def pause(self, batch_id: str) -> None:
        """Start no more children. Raises BatchNotRunning."""
        with unavailable(), not_running():
            await (await self._root(batch_id)).signal(FanOutWorkflow.pause, rpc_timeout=RPC_TIMEOUT)

    async def resume(self, batch_id: str) -> None:
        """Start children again. Raises BatchNotRunning."""
        with unavailable(), not_running():
            await (await self._root(batch_id)).signal(FanOutWorkflow.resume, rpc_timeout=RPC_TIMEOUT)

    async def set_window(self, batch_id: str, window: int) -> None:
        """Change how many children may be open at a time. Raises BatchNotRunning."""
        with unavailable(), not_running():
            await (await self._root(batch_id)).signal(FanOutWorkflow.set_window, window, rpc_timeout=RPC_TIMEOUT)

    async def decide(self, batch_id: str, *, approved: bool, person: str) -> None:
        """Say at the approval gate what a person decided. Raises BatchNotRunning."""
        decision = Decision(approved, person)
        with unavailable(), not_running():
            await (await self._root(batch_id)).signal(FanOutWorkflow.decide, decision, rpc_timeout=RPC_TIMEOUT)

    async def skip(self, batch_id: str) -> None:
        """Let a held batch go on without what failed. Raises BatchNotRunning."""
        with unavailable(), not_running():
            await (await self._root(batch_id)).signal(FanOutWorkflow.skip, rpc_timeout=RPC_TIMEOUT)

    async def finish(self, batch_id: str) -> None:
        """End a held batch as it is. Raises BatchNotRunning."""
        with unavailable(), not_running():
            await (await self._root(batch_id)).signal(FanOutWorkflow.finish, rpc_timeout=RPC_TIMEOUT)

    async def notify(self, delivery_id: str) -> None:
        """Have a notification sent; one that is being sent, or was, is left alone."""
        client = await self.client()
        with unavailable(), suppress(WorkflowAlreadyStartedError):
            await client.start_workflow(
                NotificationWorkflow.run,
                Notification(delivery_id),
                id=f"notification-{delivery_id}",
                task_queue=CHILD_TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                rpc_timeout=RPC_TIMEOUT,
            )

    async def steer_worker(self, workflow_id: str, *, paused: bool) -> None:
        """Pause one worker of a pool, or have it go on. Raises BatchNotRunning when it has gone."""
        handle = (await self.client()).get_workflow_handle(workflow_id)
        with unavailable(), not_running():
            await handle.signal("pause" if paused else "resume", rpc_timeout=RPC_TIMEOUT)

    async def cancel(self, workflow_id: str) -> None:
        """Request the cancellation of a root or a child: what is below is asked to stop and clean up.

        Raises BatchNotRunning. The server takes a request to cancel a closed workflow without a word, so it is looked
        at first.
        """
        seen = await self.describe_run(workflow_id)
        if seen is None or seen.status.is_outcome:
            raise BatchNotRunning("The batch is not running.")
        client = await self.client()
        with unavailable(), not_running():
            await client.get_workflow_handle(workflow_id).cancel(rpc_timeout=RPC_TIMEOUT)

    async def terminate(self, workflow_id: str, reason: str) -> None:
        """End a root or a child and all below it at once, without cleaning up. Raises BatchNotRunning.

        What Canopy did not launch keeps what its parents said becomes of children (the parent close policy).
        """
        client = await self.client()
        with unavailable(), not_running():
            await client.get_workflow_handle(workflow_id).terminate(reason=reason, rpc_timeout=RPC_TIMEOUT)

    async def _root(self, batch_id: str) -> WorkflowHandle[FanOutWorkflow, FanOutResult]:
        return (await self.client()).get_workflow_handle_for(FanOutWorkflow.run, root_id(batch_id))

    # Asking

    async def progress(self, batch_id: str) -> Progress:
        """Return what the root's newest run says of its direct children. Raises BatchNotRunning."""
        with unavailable(), not_running():
            return await (await self._root(batch_id)).query(FanOutWorkflow.progress, rpc_timeout=RPC_TIMEOUT)

    async def diagnose(self, batch_id: str, workflow_id: str = "") -> list[Finding]:
        """Return what keeps a batch, or one workflow of it, from moving, gravest first. Raises TemporalUnavailable."""
        return await diagnose(await self.client(), workflow_id or root_id(batch_id))

    async def queues(self, names: Iterable[str]) -> list[QueueSeen]:
        """Return the task queues that are named or served, both kinds of each. Raises TemporalUnavailable."""
        return await look_at_all(await self.client(), names)

    async def wait_closed(self, batch_id: str, run_id: str = "") -> RunSeen:
        """Wait until a run of the root (the newest, when none is named) has closed. Raises BatchNotRunning."""
        client = await self.client()
        handle = client.get_workflow_handle(root_id(batch_id), run_id=run_id or None)
        with unavailable(), not_running(), suppress(WorkflowFailureError):
            await handle.result()
        seen = await self.describe_run(root_id(batch_id), run_id)
        if seen is None:
            raise BatchNotRunning(batch_id)
        return seen

    async def describe_run(self, workflow_id: str, run_id: str = "") -> RunSeen | None:
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
        if is_ours(name):
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

    async def untold(self, seen: RunSeen) -> list[TreeEvent]:
        """Return the events that a parent closed with before they arrived; none where no worker is there to say."""
        if seen.workflow_type not in TELLERS or seen.status not in ENDED_BY_ITSELF:
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
    ) -> AsyncIterator[RunSeen]:
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

    async def listed(self, query: str) -> AsyncIterator[RunSeen]:
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


def _runs_of(tree: WorkflowTree) -> str:
    """Return the query of a tree's runs."""
    since = f' AND StartTime >= "{tree.since.isoformat()}"' if tree.since is not None else ""
    return f"RootWorkflowId = {quoted(tree.root)}{since}"


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def _run_seen(info: WorkflowExecutionInfo) -> RunSeen:
    return RunSeen(
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
