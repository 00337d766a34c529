"""The gateway: everything that the dashboard reads of Temporal and does in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    RequestCancelWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.client.external_workflows import ExternalWorkflows
from orchestration.client.inquiries import COMMAND_MEMO, Reply, look_up
from orchestration.client.prune_schedule import PruneSchedule
from orchestration.client.reader import TemporalReader
from orchestration.client.root_workflows import for_retry, root_workflow
from orchestration.client.schedules import Schedules
from orchestration.client.signals import send_signal
from orchestration.client.update_routing import RetryRouting, SkipRouting
from orchestration.contracts.dashboard_activities import Notification
from orchestration.contracts.flows import FlowInput, FlowState
from orchestration.contracts.messages import ChildrenAnswer, Decision
from orchestration.contracts.names import (
    CHILD_TASK_QUEUE,
    DECIDE_SIGNAL,
    FINISH_SIGNAL,
    NOTIFICATION_WORKFLOW,
    PAUSE_SIGNAL,
    RESUME_SIGNAL,
    SET_WINDOW_SIGNAL,
    SKIP_SIGNAL,
    STATE_QUERY,
)
from orchestration.contracts.root_input import RootInput
from orchestration.contracts.workflow_ids import WorkflowTree, root_id
from orchestration.definitions.models import RESUMABLE_KINDS
from orchestration.diagnosis.describing import open_workflows
from orchestration.diagnosis.examination import diagnose
from orchestration.diagnosis.findings import Finding
from orchestration.diagnosis.task_failures import TaskFailure, failing_tasks, reported_problems
from orchestration.temporal.commands import Inquiry, InquiryKind, commanded, identity_of, require_answer
from orchestration.temporal.connection import (
    RPC_TIMEOUT,
    BatchNotRunning,
    BatchRunning,
    Connection,
    HistoryGone,
    StateTooLarge,
    TemporalUnavailable,
    not_running,
    searching,
    unavailable,
)


class Gateway(TemporalReader):
    """Starts, signals and ends batches, beside what TemporalReader reads. One for each web process.

    A command raises TemporalUnavailable where nothing was sent, and OutcomeUnknown where it was not answered. Its
    `mark` is its own id, by which Temporal recognises a repetition, and `look_up` finds what came of it.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.schedules = Schedules(self.client)
        self.external = ExternalWorkflows(self)
        self.prune_schedule = PruneSchedule(self.client)

    async def look_up(self, inquiry: Inquiry, sent_at: datetime) -> Reply | None:
        """Return what came of a command, or None where that is not known yet. Raises TemporalUnavailable."""
        return await look_up(self, inquiry, sent_at)

    async def _commanding(self) -> Client:
        """Return the client of a Temporal that answers. Raises TemporalUnavailable."""
        client = await self.client()
        await require_answer(client)
        return client

    async def diagnose(self, batch_id: str, workflow_id: str = "", beside: Sequence[str] = ()) -> list[Finding]:
        """Return why a batch, or one workflow of it, makes no progress, gravest first. Raises TemporalUnavailable.

        `beside` are workflows of other trees on which it waits.
        """
        async with searching(self.client):
            return await diagnose(await self.client(), workflow_id or root_id(batch_id), beside)

    async def failing_tasks(self, known: Collection[str], others: Iterable[str]) -> list[TaskFailure]:
        """Return those of some workflows whose task fails again and again. Raises TemporalUnavailable."""
        return await failing_tasks(await self.client(), known, others)

    async def open_workflows(self, tree: WorkflowTree, size: int, page: bytes) -> tuple[list[str], bytes]:
        """Return a page of the open workflows of a tree, and what names the next one; empty after the last.

        Raises TemporalUnavailable.
        """
        with unavailable():
            return await open_workflows(await self.client(), tree, size, page)

    async def reported_problems(self) -> dict[str, list[str]]:
        """Return the workflows whose tasks fail as Temporal itself reports it: {root's id: workflow ids}."""
        return await reported_problems(await self.client())

    async def start(self, root: RootInput) -> str:
        """Start a batch's root and return its run id. Idempotent: a root is started once."""
        reuse = WorkflowIDReusePolicy.REJECT_DUPLICATE
        try:
            return await self._start(root, WorkflowIDConflictPolicy.USE_EXISTING, reuse)
        except WorkflowAlreadyStartedError as error:
            return error.run_id or ""

    async def roll_back(self, root: RootInput, mark: str = "") -> str:
        """Start a closed root again with an input to undo, and return the run id. Raises BatchRunning."""
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE
        try:
            return await self._start(root, WorkflowIDConflictPolicy.FAIL, reuse, mark)
        except WorkflowAlreadyStartedError as error:
            raise BatchRunning("The batch is running.") from error

    async def _start(
        self, root: RootInput, conflict: WorkflowIDConflictPolicy, reuse: WorkflowIDReusePolicy, mark: str = ""
    ) -> str:
        client = await self._commanding()
        with commanded(Inquiry(InquiryKind.START, root_id(root.batch_id), mark)):
            handle = await client.start_workflow(
                root_workflow(root),
                root,
                id=root_id(root.batch_id),
                task_queue=CHILD_TASK_QUEUE,
                id_conflict_policy=conflict,
                id_reuse_policy=reuse,
                memo={"batch": root.label, **({COMMAND_MEMO: mark} if mark else {})},
                static_summary=root.label or None,
                rpc_timeout=RPC_TIMEOUT,
            )
        return str(handle.first_execution_run_id or "")

    async def retry(
        self,
        root: RootInput,
        parents: Mapping[int, Sequence[str]],
        *,
        believed_open: Collection[str],
        update_id: str,
        lost: Collection[int] = (),
        kept: FlowState | None = None,
    ) -> ChildrenAnswer:
        """Give children another attempt, whether their parents are open or closed, and return which were accepted.

        `root` is the input with which the batch was started. `parents` has for each child the workflow ids of the stage
        and partition between it and the root, outermost first, and `believed_open` those of them that seem to be open.
        A closed flow continues with the steps that are not done, also where no children are named, if its history is
        gone from `kept`. Those in `lost` run again even if they completed: the record has lost them. Idempotent.
        """
        again = for_retry(root)
        if isinstance(again, FlowInput):
            again = await self._as_it_stopped(again, kept)
        routing = RetryRouting(await self._commanding(), root_workflow(root), again, update_id, lost)
        return await (routing.route(parents, believed_open) if parents else routing.restart())

    async def skip_children(
        self,
        root: RootInput,
        parents: Mapping[int, Sequence[str]],
        *,
        believed_open: Collection[str],
        update_id: str,
        lost: Collection[int] = (),
    ) -> ChildrenAnswer:
        """Have parents continue without children that are pending or have failed; arguments as for `retry`.

        Children without an open parent are `unasked`: nothing waits for them.
        """
        return await SkipRouting(await self._commanding(), root, update_id, lost).route(parents, believed_open)

    async def _as_it_stopped(self, flow: FlowInput, kept: FlowState | None) -> FlowInput:
        """Return the input of a flow that goes on from where its newest run is, with the window that it had."""
        if flow.definition["kind"] in RESUMABLE_KINDS:
            try:
                state = await self.flow_state(flow.batch_id)
            except HistoryGone:
                if kept is None:
                    raise
                state = kept
            return replace(flow, before=state.recorded({each.number for each in flow.sections}))
        with suppress(HistoryGone, StateTooLarge, TemporalUnavailable):
            return replace(flow, window=flow.window or (await self.flow_state(flow.batch_id)).window)
        return flow

    async def flow_state(self, batch_id: str) -> FlowState:
        """Return the state of a flow's newest run, which its history holds.

        Raises HistoryGone, StateTooLarge, and TemporalUnavailable, also where no worker answers.
        """
        handle = (await self.client()).get_workflow_handle(root_id(batch_id))
        try:
            with unavailable():
                state: FlowState = await handle.query(STATE_QUERY, result_type=FlowState, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            raise HistoryGone("Temporal no longer has the history of this batch.") from error
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError) as error:
            raise TemporalUnavailable(f"The state of the batch cannot be read: {error}") from error
        if state.bytes:
            raise StateTooLarge(state.bytes)
        return state

    async def pause(self, batch_id: str, *, mark: str = "") -> None:
        """Start no more children. Raises BatchNotRunning."""
        await self._signal(root_id(batch_id), PAUSE_SIGNAL, mark=mark)

    async def resume(self, batch_id: str, *, mark: str = "") -> None:
        """Start children again. Raises BatchNotRunning."""
        await self._signal(root_id(batch_id), RESUME_SIGNAL, mark=mark)

    async def set_window(self, batch_id: str, window: int, *, mark: str = "") -> None:
        """Change how many children may be open at a time. Raises BatchNotRunning."""
        await self._signal(root_id(batch_id), SET_WINDOW_SIGNAL, window, mark=mark)

    async def decide(self, batch_id: str, *, approved: bool, person: str, mark: str = "") -> None:
        """Send a person's decision to the approval gate. Raises BatchNotRunning."""
        await self._signal(root_id(batch_id), DECIDE_SIGNAL, Decision(approved, person), mark=mark)

    async def skip(self, batch_id: str, *, mark: str = "") -> None:
        """Let a held batch continue without its failed children. Raises BatchNotRunning."""
        await self._signal(root_id(batch_id), SKIP_SIGNAL, mark=mark)

    async def finish(self, batch_id: str, *, mark: str = "") -> None:
        """End a held batch as it is. Raises BatchNotRunning."""
        await self._signal(root_id(batch_id), FINISH_SIGNAL, mark=mark)

    async def steer_worker(self, workflow_id: str, *, paused: bool, mark: str = "") -> None:
        """Pause or resume one worker of a pool. Raises BatchNotRunning when it has closed."""
        await self._signal(workflow_id, PAUSE_SIGNAL if paused else RESUME_SIGNAL, mark=mark)

    async def _signal(self, workflow_id: str, signal: str, *arguments: object, mark: str) -> None:
        """Send a signal; one with the same mark is sent only once."""
        client, mark = await self._commanding(), mark or uuid4().hex
        with commanded(_event(workflow_id, mark)), not_running():
            await send_signal(client, workflow_id, signal, *arguments, mark=mark)

    async def notify(self, delivery_id: str) -> None:
        """Send a notification. Idempotent for a delivery."""
        client = await self.client()
        with unavailable(), suppress(WorkflowAlreadyStartedError):
            await client.start_workflow(
                NOTIFICATION_WORKFLOW,
                Notification(delivery_id),
                id=f"notification-{delivery_id}",
                task_queue=CHILD_TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                rpc_timeout=RPC_TIMEOUT,
            )

    async def cancel(self, workflow_id: str, *, mark: str = "") -> None:
        """Request the cancellation of a root or a child: workflows below it stop and clean up.

        Raises BatchNotRunning. The server accepts the request also for a closed workflow: the run is described first.
        """
        run = await self.describe_run(workflow_id)
        if run is None or run.status.is_outcome:
            raise BatchNotRunning("The batch is not running.")
        client, mark = await self._commanding(), mark or uuid4().hex
        request = RequestCancelWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            identity=identity_of(mark),
            request_id=mark,
        )
        with commanded(_event(workflow_id, mark)), not_running():
            await client.workflow_service.request_cancel_workflow_execution(request, retry=True, timeout=RPC_TIMEOUT)

    async def terminate(self, workflow_id: str, reason: str, *, mark: str = "") -> None:
        """End a root or a child and everything below it at once, without cleanup. Raises BatchNotRunning.

        Below an external workflow its own parent close policies apply.
        """
        client, mark = await self._commanding(), mark or uuid4().hex
        request = TerminateWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            reason=reason,
            identity=identity_of(mark),
        )
        with commanded(_event(workflow_id, mark)), not_running():
            await client.workflow_service.terminate_workflow_execution(request, retry=True, timeout=RPC_TIMEOUT)


def _event(workflow_id: str, mark: str) -> Inquiry:
    return Inquiry(InquiryKind.EVENT, workflow_id, mark)
