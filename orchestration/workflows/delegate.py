"""DelegateWorkflow: a child that processes its one item by another workflow, of any type, below it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError, is_cancelled_exception
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkInput, ChunkResult
    from orchestration.contracts.events import NodeKind, Place
    from orchestration.contracts.flows import FlowInput
    from orchestration.contracts.item_workflows import DelegatedWorkflow, Delegation
    from orchestration.contracts.names import READ_DELEGATION_ACTIVITY, RESULT_OF_ACTIVITY
    from orchestration.contracts.step_results import result_note
    from orchestration.engine.cancellation import stop_if_canceled
    from orchestration.engine.flows.bounds import INPUT_TOO_LARGE, bounded, check_input
    from orchestration.engine.flows.flow import FlowParent
    from orchestration.engine.item_store import read_item, write_result
    from orchestration.engine.store_activities import HEARTBEAT_TIMEOUT, UNTIL_IT_WORKS
    from orchestration.errors.failures import failure_of
    from orchestration.plan.plan import Plan

LONGEST_WAIT = timedelta(days=3650)


@workflow.defn
class DelegateWorkflow(FlowParent):
    """Start the workflow of one item, await it, and write what it returned as the item's result.

    Signals and queries: FlowParent's. Ends as that workflow does, after the attempts that the plan allows. Canceled, it
    asks that one to cancel and waits for it.
    """

    @workflow.init
    def __init__(self, chunk: ChunkInput) -> None:
        super().__init__(FlowInput(chunk.batch_id, Plan(), 0, {}))
        self._chunk = chunk

    @workflow.run
    async def run(self, chunk: ChunkInput) -> ChunkResult:
        """Return the counts of its one item."""
        return await self.run_flow(self._process_item)

    @property
    def planned(self) -> int:
        """The one workflow."""
        return 1

    async def _process_item(self) -> ChunkResult:
        found: Delegation | None = await read_item(READ_DELEGATION_ACTIVITY, self._chunk, Delegation | None)
        if found is None:
            return ChunkResult(1, 0)
        chunk = self._chunk
        for attempt in range(found.made + 1, found.made + found.attempts + 1):
            began = workflow.now()
            try:
                result = await self._delegate(found.delegate)
            except FailureError as error:
                if is_cancelled_exception(error):
                    raise
                failure = failure_of(error)
                if attempt == found.made + found.attempts or failure.type in (INPUT_TOO_LARGE, *found.non_retryable):
                    await write_result(chunk, attempt, began, failure=failure)
                    raise ApplicationError(failure.message, type=failure.type, non_retryable=True) from error
            else:
                await write_result(chunk, attempt, began, result)
                return ChunkResult(1, 0)
            stop_if_canceled()
            await workflow.sleep(found.backoff * min(2 ** (attempt - found.made - 1), 60))
        raise AssertionError("the last attempt returns or raises")

    async def _delegate(self, delegated: DelegatedWorkflow) -> Any:
        """Run the workflow once, as a row below the child's. Raises what it failed with."""
        own = workflow.info().workflow_id
        name = delegated.workflow_id or f"{own}/workflow"
        check_input(delegated.workflow_type, delegated.argument)
        try:
            handle = await workflow.start_child_workflow(
                delegated.workflow_type,
                delegated.argument,
                id=name,
                task_queue=delegated.task_queue,
                execution_timeout=timedelta(seconds=delegated.timeout) if delegated.timeout is not None else None,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                parent_close_policy=ParentClosePolicy.TERMINATE,
                cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
        except WorkflowAlreadyStartedError as error:
            return await self._result_of_running(delegated, name, error)
        with self.node_run() as run:
            run.started(name, handle.first_execution_run_id, Place(own, NodeKind.STEP, delegated.workflow_type, 1))
            result: Any = bounded({"result": await handle})["result"]
            run.note = result_note(result)
            return result

    async def _result_of_running(
        self, delegated: DelegatedWorkflow, name: str, error: WorkflowAlreadyStartedError
    ) -> Any:
        """Await the workflow that an earlier run of this child started. Raises where another owner has the id."""
        if delegated.workflow_id:
            raise ApplicationError(
                f"A workflow with the id {name!r} is already running or has completed.",
                type="WorkflowAlreadyStarted",
                non_retryable=True,
            ) from error
        return await workflow.execute_activity(
            RESULT_OF_ACTIVITY,
            name,
            result_type=object,
            task_queue=self._chunk.task_queue,
            schedule_to_close_timeout=LONGEST_WAIT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=UNTIL_IT_WORKS,
        )
