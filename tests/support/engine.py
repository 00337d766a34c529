"""Engine: workers on a real Temporal server with a store in memory and a dashboard that only listens."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from orchestration.activities.parents import ParentActivities
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.events import EventKind, NotifyInput, TreeEvent
from orchestration.contracts.fan_out import Cursor, FanOutInput, FanOutResult
from orchestration.contracts.flows import FlowInput, FlowState, Section
from orchestration.contracts.names import DASHBOARD_TASK_QUEUE, DELEGATE_WORKFLOW, ITEM_SAGA_WORKFLOW, NOTIFY_ACTIVITY
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import WorkflowTree, child_id, partition_id, root_id
from orchestration.gateway import Gateway
from orchestration.plan.layout import Layout
from orchestration.plan.plan import Plan
from orchestration.temporal.connection import Connection
from orchestration.worker import build_workers
from tests.support.memory_store import MemoryStore
from tests.support.probe import Probe
from tests.support.waiting import until

DEADLINE = 120
"""Seconds for a batch to end: machines are shared and slow."""

RESTRICTIONS = SandboxRestrictions.default.with_passthrough_modules("redis")
"""Of workflows in the sandbox. A pool of redis imports when Python's collector takes it, in whatever thread that is."""

ACTIVITY_SCHEDULED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED


@dataclass
class Run:
    """One batch of a test."""

    engine: Engine
    given: FanOutInput | FlowInput
    probe: Probe

    @property
    def id(self) -> str:
        """The batch's id."""
        return self.given.batch_id

    @property
    def root(self) -> WorkflowHandle[Any, Any]:
        """The root's newest run."""
        made_of = FanOutResult if isinstance(self.given, FanOutInput) else None
        return self.engine.client.get_workflow_handle(root_id(self.id), result_type=made_of)

    async def result(self) -> Any:
        """Return what the root returned."""
        async with asyncio.timeout(DEADLINE):
            return await self.root.result()

    async def retry(
        self,
        children: Sequence[int],
        name: str = "",
        open_partitions: Sequence[int] = (),
        lost: Sequence[int] = (),
    ) -> Any:
        """Retry children of a fan-out."""
        return await self._ask(partial(self.engine.gateway.retry, lost=lost), children, name, open_partitions)

    async def skip(
        self, children: Sequence[int], open_partitions: Sequence[int] = (), *, lost: Sequence[int] = ()
    ) -> Any:
        """Go on without children of a fan-out."""
        return await self._ask(partial(self.engine.gateway.skip_children, lost=lost), children, "", open_partitions)

    async def _ask(self, ask: Any, children: Sequence[int], name: str, open_partitions: Sequence[int]) -> Any:
        update_id = name or secrets.token_hex(4)
        assert isinstance(self.given, FanOutInput)
        layout = Layout.of(self.given.plan, self.engine.store.inputs[self.id])
        above = {child: layout.partition_of(child) for child in children}
        parents = {child: [] if at is None else [partition_id(self.id, at)] for child, at in above.items()}
        believed = [partition_id(self.id, partition) for partition in open_partitions]
        given = replace(self.given, items=layout.items)
        return await ask(given, parents, believed_open=believed, update_id=update_id)

    def events(self, kind: EventKind | None = None) -> list[TreeEvent]:
        """Return what the dashboard was notified of."""
        return [event for event in self.engine.events[self.id] if kind is None or event.kind is kind]

    async def calls(self, number: int) -> None:
        """Wait until items have been called so often in all."""

        async def called() -> bool:
            return sum(self.probe.calls.values()) >= number

        await until(called, f"{number} calls, {dict(self.probe.calls)}")

    async def listed(self) -> list[WorkflowRun]:
        """Return all runs of its tree once Temporal lists each that was notified: about a second later."""
        notified = {(event.workflow_id, event.run_id) for event in self.events(EventKind.STARTED)}

        async def found() -> list[WorkflowRun]:
            runs = [seen async for seen in self.engine.gateway.runs(WorkflowTree(root_id(self.id)))]
            return runs if notified <= {(seen.workflow_id, seen.run_id) for seen in runs} else []

        return await until(found, "what started is listed")

    async def closed_event(self) -> TreeEvent:
        """Wait until the root has closed and all its events have arrived, and return that of its own close."""
        with contextlib.suppress(WorkflowFailureError):
            await self.result()

        async def closed() -> list[TreeEvent]:
            return [event for event in self.events(EventKind.CLOSED) if event.workflow_id == root_id(self.id)]

        return (await until(closed, "the root's close is notified"))[-1]


@dataclass
class Engine:
    """Worker, listener and gateway."""

    client: Client
    gateway: Gateway
    store: MemoryStore = field(default_factory=MemoryStore)
    events: dict[str, list[TreeEvent]] = field(default_factory=lambda: defaultdict(list))

    async def launch(self, items: int, probe: Probe | None = None, **plan: Any) -> Run:
        """Start a batch."""
        made = Plan.model_validate({"item_attempts": 1, **plan})
        probe = probe or Probe()
        batch_id = secrets.token_hex(6)
        self.store.batches[batch_id] = (made, probe.name)
        known = 0 if made.paged else items
        cursor = Cursor() if made.paged else None
        self.store.inputs[batch_id] = items
        given = FanOutInput(batch_id, made, known, 0, Layout.of(made, known).children, label="test", cursor=cursor)
        if probe.saga is not None:
            given = replace(given, child_workflow=ITEM_SAGA_WORKFLOW)
        if probe.delegate is not None:
            given = replace(given, child_workflow=DELEGATE_WORKFLOW)
        await self.gateway.start(given)
        return Run(self, given, probe)

    async def flow(
        self,
        definition: dict[str, Any],
        probe: Probe | None = None,
        items: int = 0,
        *,
        before: FlowState | None = None,
        **plan: Any,
    ) -> Run:
        """Start a batch with a flow of its own, over items where it is a pipeline, from a state `before`."""
        made, probe = Plan.model_validate({"item_attempts": 1, **plan}), probe or Probe()
        batch_id = secrets.token_hex(6)
        self.store.batches[batch_id] = (made, probe.name)
        self.store.inputs[batch_id] = items
        sections = [Section(0, 0, 0, 0, items)] if items else []
        self.store.sections[batch_id] = list(sections)
        given = FlowInput(batch_id, made, items, definition, label="test", sections=sections)
        given = replace(given, before=before or FlowState())
        await self.gateway.start(given)
        return Run(self, given, probe)

    def listener(self) -> Worker:
        """Return a worker in the place of the dashboard's, which records what it is notified of."""

        @activity.defn(name=NOTIFY_ACTIVITY)
        async def notify(given: NotifyInput) -> None:
            self.events[given.batch_id].extend(given.events)

        return Worker(self.client, task_queue=DASHBOARD_TASK_QUEUE, activities=[notify])


@asynccontextmanager
async def running_engine(client: Client, address: str) -> AsyncIterator[Engine]:
    """Run the workers, workflows in the sandbox, for as long as the context is open."""
    engine = Engine(client, Gateway(Connection(address)))
    activities = ParentActivities(engine.store)
    (worker,) = build_workers(client, activities, workflow_runner=SandboxedWorkflowRunner(RESTRICTIONS))
    async with worker:
        yield engine
    activities.close()


async def make_namespace(client: Client, name: str) -> None:
    """Register a namespace: workers and workflows of others are not seen there."""
    kept = Duration(seconds=24 * 3_600)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=kept)
    )


def failed(status: Status, result: FanOutResult) -> list[int]:
    """Return the children that a result lists under a status."""
    return sorted(result.unfinished.get(status, []))


async def scheduled_activities(run: Run, child: int) -> int:
    """Return how many activities a child's history has."""
    history = await run.engine.client.get_workflow_handle(child_id(run.id, child, None)).fetch_history()
    return sum(event.event_type == ACTIVITY_SCHEDULED for event in history.events)
