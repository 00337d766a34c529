"""Engine: workers on a real Temporal server with a store in memory and a dashboard that only listens."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ConfigDict
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from orchestration.activities.parents import ParentActivities
from orchestration.client.workflow_run import WorkflowRun
from orchestration.contracts.chunks import ChunkInput, ChunkNote, ChunkWork, ItemResult, ItemWork, ResourcesInput
from orchestration.contracts.events import EventKind, NotifyInput, TreeEvent
from orchestration.contracts.fan_out import Cursor, FanOutInput, FanOutResult, InputPage, PageRequest, SummariseInput
from orchestration.contracts.flows import FanOutRequest, FlowInput, Section, SectionRequest
from orchestration.contracts.item_workflows import SagaItem
from orchestration.contracts.names import DASHBOARD_TASK_QUEUE, DELEGATE_WORKFLOW, ITEM_SAGA_WORKFLOW, NOTIFY_ACTIVITY
from orchestration.contracts.status import Failure, Status
from orchestration.contracts.stores import InputUnreadable
from orchestration.contracts.workflow_ids import WorkflowTree, partition_id, root_id
from orchestration.gateway import Gateway
from orchestration.plan.layout import Layout
from orchestration.plan.plan import Plan
from orchestration.processors.processor import ItemContext
from orchestration.processors.registry import processor
from orchestration.temporal.connection import Connection
from orchestration.worker import build_workers
from tests.support.waiting import until


class Probed(Exception):
    """What a probed item raises when it is told to fail."""


class ProbeItem(BaseModel):
    """Only the key matters."""

    model_config = ConfigDict(extra="allow")


class ProbeParameters(BaseModel):
    """Which probe tells the items what to do."""

    probe: str


class ProbeResult(BaseModel):
    """How often the item has been called."""

    calls: int


class Probe:
    """What a test tells its items, and what they did: `fail` by key, `gate` to hold them."""

    all: dict[str, Probe] = {}

    def __init__(self) -> None:
        self.name = secrets.token_hex(4)
        self.fail: set[str] = set()
        self.hold: set[str] = set()
        self.invalid: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.calls: dict[str, int] = defaultdict(int)
        self.given: dict[str, dict[str, Any]] = {}
        self.idempotency: dict[str, set[str]] = defaultdict(set)
        self.undone: dict[str, int] = defaultdict(int)
        self.fail_undo: set[str] = set()
        self.torn_page: int | None = None
        self.saga: dict[str, Any] | None = None
        self.delegate: dict[str, Any] | None = None
        self.running = 0
        self.most = 0
        Probe.all[self.name] = self


async def undo_probe(item: ProbeItem, parameters: ProbeParameters, result: Any, context: ItemContext) -> None:
    """Undo, or fail to, as the probe says."""
    told = Probe.all[parameters.probe]
    told.undone[context.key] += 1
    if context.key in told.fail_undo:
        raise Probed(f"{context.key} cannot be undone.")


@processor(name="probe", title="Probe", summary="For tests.", compensation=undo_probe)
async def probe(item: ProbeItem, parameters: ProbeParameters, context: ItemContext) -> ProbeResult:
    """Do as the probe says."""
    told = Probe.all[parameters.probe]
    told.calls[context.key] += 1
    told.given[context.key] = item.model_dump()
    told.idempotency[context.key].add(context.idempotency_key)
    told.running += 1
    told.most = max(told.most, told.running)
    try:
        await told.gate.wait()
        if context.key in told.hold:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
    finally:
        told.running -= 1
    if context.key in told.invalid:
        ProbeParameters.model_validate({})
    if context.key in told.fail:
        raise Probed(f"{context.key} was told to fail.")
    return ProbeResult(calls=told.calls[context.key])


class MemoryStore:
    """A ChunkStore without a database."""

    def __init__(self) -> None:
        self.batches: dict[str, tuple[Plan, str]] = {}
        self.results: dict[tuple[str, int], ItemResult] = {}
        self.reports: list[SummariseInput] = []
        self.undone: dict[tuple[str, int], ItemResult] = {}
        self.notes: list[ChunkNote] = []
        self.inputs: dict[str, int] = {}
        self.pages: dict[str, int] = defaultdict(int)
        self.sections: dict[str, list[Section]] = defaultdict(list)

    def read_page(self, wanted: PageRequest) -> InputPage:
        """Return the size of a page of a batch that reads its input while it runs."""
        plan, name = self.batches[wanted.batch_id]
        if wanted.page == Probe.all[name].torn_page:
            raise InputUnreadable(f"Page {wanted.page} is torn.")
        self.pages[wanted.batch_id] = max(self.pages[wanted.batch_id], wanted.page + 1)
        full = plan.page_children * plan.chunk_size
        left = self.inputs[wanted.batch_id] - wanted.page * full
        return InputPage(max(0, min(full, left)), is_last=left < full)

    def advance(self, wanted: SectionRequest) -> Section:
        """Return a section of as many items as the stage before has let through since the last one."""
        made = self.sections[wanted.batch_id]
        if wanted.number < len(made):
            return made[wanted.number]
        last = made[-1]
        before = [each for each in made if each.stage == wanted.stage - 1]
        indices = [index for each in before for index in range(each.first_item, each.first_item + each.items)]
        results = [self.results.get((wanted.batch_id, index)) for index in indices]
        passed = sum(result is not None and result.failure is None for result in results)
        passed -= sum(each.items for each in made if each.stage == wanted.stage)
        first = (last.first_child + last.items, last.first_item + last.items)
        section = Section(wanted.number, wanted.stage, *first, passed)
        if passed:
            made.append(section)
        return section

    def begin_fan_out(self, wanted: FanOutRequest) -> Section:
        """Return a section over some items, or over those of the batch."""
        made = self.sections[wanted.batch_id]
        known = [each for each in made if each.number == wanted.number]
        if known:
            return known[0]
        number = self.inputs[wanted.batch_id] if wanted.items is None else len(wanted.items)
        first = sum(each.items for each in made)
        section = Section(wanted.number, wanted.stage, first, first, number)
        if number:
            made.append(section)
        return section

    def read_chunk(self, work: ChunkInput, run_id: str) -> ChunkWork:
        """Return what is left of a chunk."""
        plan, name = self.batches[work.batch_id]
        if work.undo:
            return ChunkWork("probe", {"probe": name}, plan, self._to_undo(work))
        items, completed = [], 0
        for index in range(work.offset, work.offset + work.length):
            result = self.results.get((work.batch_id, index))
            if result is not None and result.failure is None:
                completed += 1
            else:
                items.append(ItemWork(index, str(index), {}, result.attempts if result else 0))
        delegate = Probe.all[name].delegate
        if delegate is not None:
            return ChunkWork("workflow", delegate, plan, items, completed=completed)
        return ChunkWork("probe", {"probe": name}, plan, items, completed=completed)

    def _to_undo(self, work: ChunkInput) -> list[ItemWork]:
        found = [
            (index, self.results.get((work.batch_id, index))) for index in range(work.offset, work.offset + work.length)
        ]
        return [ItemWork(index, str(index), {}) for index, result in found if result and result.failure is None]

    def read_saga_item(self, chunk: ChunkInput) -> SagaItem:
        """Return an item that has nothing but its number."""
        saga = Probe.all[self.batches[chunk.batch_id][1]].saga
        assert saga is not None
        before = self.results.get((chunk.batch_id, chunk.offset))
        return SagaItem(saga, {"number": chunk.offset}, before.attempts if before else 0)

    def read_upload(self, upload_id: str) -> Iterator[bytes]:
        """Return nothing: no item of these tests has a file."""
        raise LookupError(upload_id)

    def write_note(self, note: ChunkNote) -> None:
        """Keep what children say."""
        self.notes.append(note)

    def write_report(self, given: SummariseInput) -> None:
        """Keep what was reported."""
        self.reports.append(given)

    def read_resources(self, wanted: ResourcesInput) -> list[str]:
        """Return made-up resources: the same ones in every batch, one for each item or three for all."""
        if wanted.field.startswith("three"):
            return [f"{wanted.field}-{index % 3}" for index in range(wanted.offset, wanted.offset + wanted.length)]
        return [f"{wanted.field}-{index}" for index in range(wanted.offset, wanted.offset + wanted.length)]

    def write_results(self, results: Sequence[ItemResult]) -> None:
        """Keep results."""
        for result in results:
            if result.undone:
                self.undone[result.batch_id, result.index] = result
                continue
            self.results[result.batch_id, result.index] = result


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
        async with asyncio.timeout(60):
            return await self.root.result()

    async def retry(self, children: Sequence[int], name: str = "", open_partitions: Sequence[int] = ()) -> Any:
        """Retry children of a fan-out."""
        return await self._ask(self.engine.gateway.retry, children, name, open_partitions)

    async def skip(self, children: Sequence[int], open_partitions: Sequence[int] = ()) -> Any:
        """Go on without children of a fan-out."""
        return await self._ask(self.engine.gateway.skip_children, children, "", open_partitions)

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
        """Return all runs of its tree once Temporal lists each that was told to have started: a second later, or so."""
        told = {(event.workflow_id, event.run_id) for event in self.events(EventKind.STARTED)}

        async def found() -> list[WorkflowRun]:
            runs = [seen async for seen in self.engine.gateway.runs(WorkflowTree(root_id(self.id)))]
            return runs if told <= {(seen.workflow_id, seen.run_id) for seen in runs} else []

        return await until(found, "what started is listed")

    async def closed_event(self) -> TreeEvent:
        """Wait until the root's own close was notified."""

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
        told = probe or Probe()
        batch_id = secrets.token_hex(6)
        self.store.batches[batch_id] = (made, told.name)
        known = 0 if made.paged else items
        cursor = Cursor() if made.paged else None
        self.store.inputs[batch_id] = items
        given = FanOutInput(batch_id, made, known, 0, Layout.of(made, known).children, label="test", cursor=cursor)
        if told.saga is not None:
            given = replace(given, child_workflow=ITEM_SAGA_WORKFLOW)
        if told.delegate is not None:
            given = replace(given, child_workflow=DELEGATE_WORKFLOW)
        await self.gateway.start(given)
        return Run(self, given, told)

    async def flow(self, definition: dict[str, Any], probe: Probe | None = None, items: int = 0, **plan: Any) -> Run:
        """Start a batch with a flow of its own, over items where it is a pipeline."""
        made, told = Plan.model_validate({"item_attempts": 1, **plan}), probe or Probe()
        batch_id = secrets.token_hex(6)
        self.store.batches[batch_id] = (made, told.name)
        self.store.inputs[batch_id] = items
        sections = [Section(0, 0, 0, 0, items)] if items else []
        self.store.sections[batch_id] = list(sections)
        given = FlowInput(batch_id, made, items, definition, label="test", sections=sections)
        await self.gateway.start(given)
        return Run(self, given, told)

    def listener(self) -> Worker:
        """Return the worker that stands for the dashboard."""

        @activity.defn(name=NOTIFY_ACTIVITY)
        async def notify(news: NotifyInput) -> None:
            self.events[news.batch_id].extend(news.events)

        return Worker(self.client, task_queue=DASHBOARD_TASK_QUEUE, activities=[notify])


@asynccontextmanager
async def running_engine(client: Client, address: str) -> AsyncIterator[Engine]:
    """Run the workers, workflows in the sandbox, for as long as the context is open."""
    engine = Engine(client, Gateway(Connection(address)))
    activities = ParentActivities(engine.store)
    (worker,) = build_workers(client, activities, workflow_runner=SandboxedWorkflowRunner())
    async with worker:
        yield engine
    activities.close()


def failed(status: Status, result: FanOutResult) -> list[int]:
    """Return the children that a result lists under a status."""
    return sorted(result.unfinished.get(status, []))


__all__ = ["Engine", "Failure", "Probe", "Probed", "Run", "failed", "running_engine"]
