"""Gateway: all that the dashboard may ask of Temporal, and have it do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from orchestration.client.external_workflows import ExternalWorkflows
from orchestration.client.reader import TemporalReader
from orchestration.client.root_workflows import for_retry, root_workflow
from orchestration.client.schedules import Schedules
from orchestration.client.update_routing import RetryRouting, SkipRouting
from orchestration.contracts.dashboard_activities import Notification
from orchestration.contracts.flows import FlowInput, FlowState
from orchestration.contracts.messages import ChildrenAnswer, Decision
from orchestration.contracts.names import CHILD_TASK_QUEUE
from orchestration.contracts.root_input import RootInput
from orchestration.contracts.workflow_ids import root_id
from orchestration.definitions.models import RESUMABLE_KINDS
from orchestration.diagnosis.examination import diagnose
from orchestration.diagnosis.findings import Finding
from orchestration.temporal.connection import (
    RPC_TIMEOUT,
    BatchNotRunning,
    BatchRunning,
    Connection,
    not_running,
    unavailable,
)
from orchestration.workflows.fan_out import FanOutWorkflow
from orchestration.workflows.notification import NotificationWorkflow
from orchestration.workflows.steps import StepsWorkflow


class Gateway(TemporalReader):
    """What the dashboard may have Temporal do, beside what it may ask."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.schedules = Schedules(self.client)
        self.foreign = ExternalWorkflows(self)

    async def diagnose(self, batch_id: str, workflow_id: str = "") -> list[Finding]:
        """Return what keeps a batch, or one workflow of it, from moving, gravest first. Raises TemporalUnavailable."""
        return await diagnose(await self.client(), workflow_id or root_id(batch_id))

    async def start(self, root: RootInput) -> str:
        """Start a batch's root and return its run id; one that was started before is left as it is."""
        reuse = WorkflowIDReusePolicy.REJECT_DUPLICATE
        try:
            return await self._start(root, WorkflowIDConflictPolicy.USE_EXISTING, reuse)
        except WorkflowAlreadyStartedError as error:
            return error.run_id or ""

    async def roll_back(self, root: RootInput) -> str:
        """Start a closed root again to undo what its input says, and return the run id. Raises BatchRunning."""
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE
        try:
            return await self._start(root, WorkflowIDConflictPolicy.FAIL, reuse)
        except WorkflowAlreadyStartedError as error:
            raise BatchRunning("The batch is running.") from error

    async def _start(self, root: RootInput, conflict: WorkflowIDConflictPolicy, reuse: WorkflowIDReusePolicy) -> str:
        client = await self.client()
        with unavailable():
            handle = await client.start_workflow(
                root_workflow(root),
                root,
                id=root_id(root.batch_id),
                task_queue=CHILD_TASK_QUEUE,
                id_conflict_policy=conflict,
                id_reuse_policy=reuse,
                memo={"batch": root.label},
                static_summary=root.label or None,
                rpc_timeout=RPC_TIMEOUT,
            )
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
        if isinstance(again, FlowInput) and again.definition["kind"] in RESUMABLE_KINDS:
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
