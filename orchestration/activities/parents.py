"""The activities of parents: they insert items, signal and await other workflows, and write reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from orchestration.activities.chunks import ChunkActivities
from orchestration.activities.step_results import reference_to_item
from orchestration.contracts.chunks import ChildRange, ChunkInput, HoldInput, ResourcesInput
from orchestration.contracts.fan_out import InputPage, PageRequest, SummariseInput
from orchestration.contracts.flows import (
    AnswerInput,
    ConditionInput,
    FanOutOverResult,
    FanOutRequest,
    Section,
    SectionRequest,
)
from orchestration.contracts.item_workflows import SagaItem
from orchestration.contracts.long_lived import Submission
from orchestration.contracts.names import (
    ADVANCE_ACTIVITY,
    AWAIT_WORKFLOW_ACTIVITY,
    BEGIN_FAN_OUT_ACTIVITY,
    BEGIN_FAN_OUT_OVER_STORED_ACTIVITY,
    CHILD_TASK_QUEUE,
    CONDITION_HOLDS_ACTIVITY,
    ENTITY_SUBMIT_SIGNAL,
    ENTITY_WORKFLOW,
    HOLD_RESOURCE_ACTIVITY,
    KEEP_ANSWER_ACTIVITY,
    LACKING_CHILDREN_ACTIVITY,
    READ_PAGE_ACTIVITY,
    READ_RESOURCES_ACTIVITY,
    READ_SAGA_ITEM_ACTIVITY,
    REFER_TO_SAGA_ITEM_ACTIVITY,
    RESOURCE_HOLD_WORKFLOW,
    SUBMIT_ACTIVITY,
    SUMMARISE_ACTIVITY,
)
from orchestration.contracts.status import Status
from orchestration.contracts.stores import ChunkStore
from orchestration.engine.flows.bounds import size_of
from orchestration.processors.secrets import mask
from orchestration.temporal.heartbeat import heartbeating

HOLDER_MEMO = "canopy_holder"
"""Name in the memo of a ResourceHoldWorkflow of the activity that started it."""

SUMMARY_LENGTH = 200
"""Characters of a workflow's summary; Temporal takes 400 bytes."""


class ParentActivities(ChunkActivities):
    """The activities of workers that share the dashboard's database: those of chunks, and those of parents."""

    def __init__(self, store: ChunkStore) -> None:
        super().__init__(store)
        self._store: ChunkStore = store

    @activity.defn(name=READ_RESOURCES_ACTIVITY)
    async def read_resources(self, wanted: ResourcesInput) -> list[str]:
        """Return what each item of a slice names as its resource, of as many items as the answer may have."""
        found = await self.call_store(self._store.read_resources, wanted)
        return first_that_fit(found, wanted.most) if wanted.most else found

    @activity.defn(name=LACKING_CHILDREN_ACTIVITY)
    async def lacking_children(self, wanted: ChildRange) -> list[int]:
        """Return the children of a range that the record does not have as done, or as undone."""
        return await self.call_store(self._store.lacking_children, wanted)

    @activity.defn(name=READ_PAGE_ACTIVITY)
    async def read_page(self, wanted: PageRequest) -> InputPage:
        """Insert the next page of a batch's input. Raises ApplicationError, not retried, if it cannot."""
        return await self.call_store(self._store.read_page, wanted)

    @activity.defn(name=ADVANCE_ACTIVITY)
    async def advance(self, wanted: SectionRequest) -> Section:
        """Insert the next section of a pipeline: the items that completed in the stage before."""
        return await self.call_store(self._store.advance, wanted)

    @activity.defn(name=BEGIN_FAN_OUT_ACTIVITY)
    async def begin_fan_out(self, wanted: FanOutRequest) -> Section:
        """Insert the items and children of a step that fans out. Raises ApplicationError, not retried, if it cannot."""
        return await self.call_store(self._store.begin_fan_out, wanted)

    @activity.defn(name=BEGIN_FAN_OUT_OVER_STORED_ACTIVITY)
    async def begin_fan_out_over_stored(self, wanted: FanOutOverResult) -> Section:
        """Insert the items of a list in a result from the store. Raises ApplicationError, not retried."""
        items = await self.step_results.items_of(wanted)
        return await self.begin_fan_out(replace(wanted.request, items=items))

    @activity.defn(name=CONDITION_HOLDS_ACTIVITY)
    async def condition_holds(self, given: ConditionInput) -> bool:
        """Return whether a condition over results in the store holds."""
        return await self.step_results.holds(given)

    @activity.defn(name=KEEP_ANSWER_ACTIVITY)
    async def keep_answer(self, given: AnswerInput) -> Any:
        """Keep what a workflow has returned in the store, and return the reference to it."""
        async with heartbeating():
            answer = await activity.client().get_workflow_handle(given.workflow_id, run_id=given.run_id).result()
        return await self.step_results.kept_answer(given, mask(answer))

    @activity.defn(name=READ_SAGA_ITEM_ACTIVITY)
    async def read_saga_item(self, chunk: ChunkInput) -> SagaItem:
        """Return a child's item, and the saga that it goes through."""
        return await self.call_store(self._store.read_saga_item, chunk)

    @activity.defn(name=REFER_TO_SAGA_ITEM_ACTIVITY)
    async def refer_to_saga_item(self, chunk: ChunkInput) -> SagaItem:
        """Return the same with a reference to the item's data, where that is large."""
        item = await self.read_saga_item(chunk)
        return replace(item, data=reference_to_item(chunk.offset, item.data))

    @activity.defn(name=SUBMIT_ACTIVITY)
    async def submit(self, given: Submission) -> None:
        """Signal an operation to its entity, which is started by the same call where it does not run."""
        await activity.client().start_workflow(
            ENTITY_WORKFLOW,
            given.entity,
            id=given.workflow_id,
            task_queue=CHILD_TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal=ENTITY_SUBMIT_SIGNAL,
            start_signal_args=[given.operation],
            static_summary=given.entity.entity,
        )

    @activity.defn(name=SUMMARISE_ACTIVITY)
    async def summarise(self, given: SummariseInput) -> None:
        """Write the report of a batch's run."""
        await self.call_store(self._store.write_report, given)

    @activity.defn(name=AWAIT_WORKFLOW_ACTIVITY)
    async def await_workflow(self, workflow_id: str) -> str:
        """Return how the workflow that has an id now ends: a Status. One that is gone counts as terminated."""
        try:
            async with heartbeating():
                await activity.client().get_workflow_handle(workflow_id).result()
        except WorkflowFailureError:
            return Status.FAILED
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return Status.TERMINATED
        return Status.COMPLETED

    @activity.defn(name=HOLD_RESOURCE_ACTIVITY)
    async def hold_resource(self, given: HoldInput) -> None:
        """Start a workflow that holds a resource, once nobody else uses it."""
        holder = f"{activity.info().workflow_run_id}/{activity.info().activity_id}"
        async with heartbeating():
            while not await self._takes(given, holder):
                await self.await_workflow(given.workflow_id)

    async def _takes(self, given: HoldInput, holder: str) -> bool:
        """Take a resource unless somebody has it; an earlier try of the same activity counts."""
        client = activity.client()
        try:
            await client.start_workflow(
                RESOURCE_HOLD_WORKFLOW,
                args=[],
                id=given.workflow_id,
                task_queue=CHILD_TASK_QUEUE,
                execution_timeout=timedelta(seconds=given.seconds),
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                memo={HOLDER_MEMO: holder},
                static_summary=f"rollback uses {given.resource}"[:SUMMARY_LENGTH],
            )
        except WorkflowAlreadyStartedError as error:
            taken = await client.get_workflow_handle(given.workflow_id, run_id=error.run_id).describe()
            return bool(await taken.memo_value(HOLDER_MEMO, None) == holder)
        return True

    @property
    def all(self) -> list[Callable[..., Any]]:
        """The activities, for a worker to register."""
        return [
            *super().all,
            self.summarise,
            self.read_page,
            self.submit,
            self.read_saga_item,
            self.refer_to_saga_item,
            self.advance,
            self.begin_fan_out,
            self.begin_fan_out_over_stored,
            self.condition_holds,
            self.keep_answer,
            self.read_resources,
            self.lacking_children,
            self.await_workflow,
            self.hold_resource,
        ]


def first_that_fit(texts: Sequence[str], limit: int) -> list[str]:
    """Return the first texts that together take up to `limit` bytes as JSON, and one at least."""
    fit, size = list[str](), 0
    for text in texts:
        size += size_of(text) + 1
        if fit and size > limit:
            break
        fit.append(text)
    return fit
