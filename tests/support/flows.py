"""Definitions of sagas, services and steps over the probe, and what tests ask of their runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestration.contracts.events import EventKind, NodeKind
from orchestration.contracts.flows import FlowInput
from orchestration.contracts.messages import ChildrenAnswer
from orchestration.contracts.status import Status
from orchestration.contracts.workflow_ids import root_id, stage_id
from tests.support.engine import Engine, Run
from tests.support.probe import Probe


def work(probe: Probe) -> dict[str, Any]:
    """Return the processor and parameters of a step over the probe."""
    return {"processor": "probe", "parameters": {"probe": probe.name}}


async def tree_rows(run: Run) -> dict[str, tuple[NodeKind, str, Status | None]]:
    """Return what the tree would show: {row: (kind, its parent, outcome)}, without the root's id."""
    await run.closed_event()
    root = root_id(run.id)
    outcomes = {event.workflow_id: event.outcome for event in run.events(EventKind.CLOSED)}
    return {
        event.workflow_id.removeprefix(f"{root}/"): (
            event.place.kind,
            event.place.parent.removeprefix(root).removeprefix("/"),
            outcomes.get(event.workflow_id),
        )
        for event in run.events(EventKind.STARTED)
        if event.place is not None
    }


def saga(probe: Probe) -> dict[str, Any]:
    """Return a saga of three steps, the first two with a compensation."""
    return {
        "kind": "saga",
        "steps": [
            {"name": "reserve", **work(probe), "compensation": work(probe)},
            {"name": "charge", **work(probe), "compensation": work(probe)},
            {"name": "ship", **work(probe)},
        ],
    }


@workflow.defn
class StockWorkflow:
    """A service of another team: its own type, its own queue."""

    @workflow.run
    async def run(self, given: dict[str, Any]) -> dict[str, Any]:
        """Answer, or never."""
        await workflow.wait_condition(lambda: given["answers"])
        return {"stock": 3} | ({"list": "x" * given["much"]} if "much" in given else {})


@asynccontextmanager
async def stock_worker(engine: Engine) -> AsyncIterator[None]:
    """Run the worker of the other team."""
    runner = UnsandboxedWorkflowRunner()
    async with Worker(engine.client, task_queue="stock", workflows=[StockWorkflow], workflow_runner=runner):
        yield


def services(probe: Probe, *, answers: bool) -> dict[str, Any]:
    """Return two services: one over the probe, and one of another team that answers or times out."""
    stock = {"name": "stock", "workflow_type": "StockWorkflow", "task_queue": "stock", "timeout": 2}
    return {
        "kind": "services",
        "services": [{"name": "product", **work(probe)}, {**stock, "input": {"answers": answers}}],
    }


ONE = {"chunk_size": 1, "item_attempts": 1}


def fan_out_step(name: str, items: Any, **plan: Any) -> dict[str, Any]:
    """Return a step that fans out over items."""
    return {"name": name, "fan_out": {"processor": "probe", "plan": ONE | plan, "items": items}}


def steps(*given: dict[str, Any]) -> dict[str, Any]:
    """Return a flow of steps."""
    return {"kind": "steps", "steps": list(given)}


async def retry_children(engine: Engine, run: Run, *children: int, open_: bool = False) -> ChildrenAnswer:
    """Retry children (or just what is not done) as the dashboard does, which knows their sections."""
    assert isinstance(run.given, FlowInput)
    sections = engine.store.sections[run.id]
    given = replace(run.given, sections=sections)
    of = {child: next(each for each in reversed(sections) if each.first_child <= child) for child in children}
    parents = {child: [stage_id(run.id, each.number)] for child, each in of.items()}
    believed = [each for above in parents.values() for each in above] if open_ else []
    return await engine.gateway.retry(given, parents, believed_open=believed, update_id=f"{children}{open_}")
