"""DelegateWorkflow: a child whose one item is somebody else's workflow, of any type, below it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError, is_cancelled_exception
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ChunkInput, ChunkResult, ItemResult
    from orchestration.contracts.events import EventKind, NodeKind, Place
    from orchestration.contracts.flows import FlowInput
    from orchestration.contracts.item_workflows import DelegatedWorkflow, Delegation
    from orchestration.contracts.names import READ_DELEGATION_ACTIVITY, RESULT_OF_ACTIVITY, WRITE_RESULT_ACTIVITY
    from orchestration.contracts.status import Failure, Status
    from orchestration.engine.chunk_execution import HEARTBEAT_TIMEOUT, WORKER_LOST_RETRY
    from orchestration.engine.flows.flow import FlowParent, brief
    from orchestration.errors.failures import failure_of, outcome_of
    from orchestration.plan.plan import Plan

READ_TIMEOUT = timedelta(seconds=30)
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
        return await self.perform(self._of_item)

    @property
    def planned(self) -> int:
        """The one workflow."""
        return 1

    async def _of_item(self) -> ChunkResult:
        found = await self._read()
        if found is None:
            return ChunkResult(1, 0)
        for attempt in range(found.made + 1, found.made + found.attempts + 1):
            began = workflow.now()
            try:
                result = await self._delegate(found.delegate)
            except FailureError as error:
                if is_cancelled_exception(error):
                    raise
                failure = failure_of(error)
                if attempt == found.made + found.attempts or failure.type in found.non_retryable:
                    await self._write(attempt, began, failure=failure)
                    raise ApplicationError(failure.message, type=failure.type, non_retryable=True) from error
            else:
                await self._write(attempt, began, result)
                return ChunkResult(1, 0)
            await workflow.sleep(found.backoff * min(2 ** (attempt - found.made - 1), 60))
        raise AssertionError("the last attempt returns or raises")

    async def _delegate(self, asked: DelegatedWorkflow) -> Any:
        """Run the workflow once, as a row below the child's. Raises what it failed with."""
        own = workflow.info().workflow_id
        name = asked.workflow_id or f"{own}/workflow"
        try:
            handle = await workflow.start_child_workflow(
                asked.workflow_type,
                asked.argument,
                id=name,
                task_queue=asked.task_queue,
                execution_timeout=timedelta(seconds=asked.timeout) if asked.timeout is not None else None,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                parent_close_policy=ParentClosePolicy.TERMINATE,
                cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
        except WorkflowAlreadyStartedError as error:
            return await self._taken(asked, name, error)
        run_id = handle.first_execution_run_id or ""
        place = Place(own, NodeKind.STEP, asked.workflow_type, 1)
        self.outbox.put(EventKind.STARTED, name, run_id, place=place)
        outcome, failure, said = Status.COMPLETED, None, ""
        self.running += 1
        try:
            result: Any = await handle
            said = brief(result)
            return result
        except FailureError as error:
            outcome, failure = outcome_of(error)
            raise
        finally:
            self.running -= 1
            self.counts.add(outcome)
            self.outbox.put(EventKind.CLOSED, name, run_id, outcome=outcome, failure=failure, note=said)

    async def _taken(self, asked: DelegatedWorkflow, name: str, error: WorkflowAlreadyStartedError) -> Any:
        """Take over what an earlier run of this very child left behind; what others have started is theirs."""
        if asked.workflow_id:
            raise ApplicationError(
                f"A workflow with the id {name!r} runs or has completed already.",
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
        )

    async def _read(self) -> Delegation | None:
        found: Delegation | None = await workflow.execute_activity(
            READ_DELEGATION_ACTIVITY,
            self._chunk,
            result_type=Delegation | None,  # type: ignore[arg-type]
            task_queue=self._chunk.task_queue,
            start_to_close_timeout=READ_TIMEOUT,
            retry_policy=WORKER_LOST_RETRY,
        )
        return found

    async def _write(self, made: int, began: datetime, result: Any = None, failure: Failure | None = None) -> None:
        chunk, seconds = self._chunk, (workflow.now() - began).total_seconds()
        await workflow.execute_activity(
            WRITE_RESULT_ACTIVITY,
            ItemResult(
                *(chunk.batch_id, chunk.child, workflow.info().run_id, chunk.offset, made, seconds, result, failure)
            ),
            task_queue=chunk.task_queue,
            start_to_close_timeout=READ_TIMEOUT,
            retry_policy=WORKER_LOST_RETRY,
        )
