"""Entities: children that are operations on long-lived workflows, which outlive the batch and run them one by one.

Workflow code: deterministic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from orchestration.contracts.chunks import ResourcesInput
    from orchestration.contracts.events import EventKind, NodeKind, Place
    from orchestration.contracts.fan_out import FanOutInput
    from orchestration.contracts.long_lived import EntityInput, EntityOperation, Submission, WorkerReport
    from orchestration.contracts.names import (
        DROP_CHUNK_SIGNAL,
        HOLD_OPERATIONS_SIGNAL,
        RESUME_OPERATIONS_SIGNAL,
        SUBMIT_ACTIVITY,
    )
    from orchestration.contracts.patches import PAUSE_HOLDS_HANDOFF
    from orchestration.contracts.status import Status
    from orchestration.contracts.workflow_ids import entity_id
    from orchestration.engine.attempt import attempt_id
    from orchestration.engine.child_handles import in_background, signal_if_open
    from orchestration.engine.store_activities import UNTIL_IT_WORKS
    from orchestration.engine.supervisor import Unit
    from orchestration.engine.units.children import Children
    from orchestration.engine.units.handoff import Handoff
    from orchestration.engine.units.resources import read_resources, start_awaiting

SUBMIT_TIMEOUT = timedelta(seconds=30)
ENTITY_GONE = "EntityGone"


class _Entity:
    """One entity as a batch sees it: the operations handed off to it that have not ended, in order."""

    def __init__(self, name: str, workflow_id: str, position: int) -> None:
        self.name, self.workflow_id, self.position = name, workflow_id, position
        self.handoffs: list[Handoff] = []
        self.submitting, self.steering = asyncio.Lock(), asyncio.Lock()
        self.is_held = False
        self.watch: asyncio.Task[None] | None = None


class Entities(Children):
    """Children that are handed off to entities, the operations of each in the order of the items."""

    def __init__(self, given: FanOutInput, failed: Callable[[int], None]) -> None:
        super().__init__(given, failed)
        self._names: list[str] = []
        self._entities = dict[str, _Entity]()
        self._entity_of_child = dict[int, _Entity]()

    async def prepare(self) -> None:
        """Read which entity each item is an operation of."""
        given = self._given
        self._names = await read_resources(
            ResourcesInput(given.batch_id, given.plan.entity_field, given.first_item, given.items)
        )

    async def start(self, unit: int) -> Unit:
        """Submit an operation to its entity, after those that came before."""
        chunk = self._chunk(unit)
        entity = self._entity_of(self._names[chunk.offset - self._given.first_item])
        handoff = Handoff(self.name(unit), chunk, lambda: self._drop(entity, chunk.run_id))
        self._entity_of_child[unit] = entity
        async with entity.submitting:
            entity.handoffs.append(handoff)
            self._note(entity)
            plan = self._given.plan
            await workflow.execute_activity(
                SUBMIT_ACTIVITY,
                Submission(
                    entity.workflow_id,
                    EntityInput(entity.name, plan.entity_continue_after, plan.entity_idle),
                    EntityOperation(chunk, workflow.info().workflow_id),
                ),
                start_to_close_timeout=SUBMIT_TIMEOUT,
                retry_policy=UNTIL_IT_WORKS,
            )
        if entity.watch is None:
            entity.watch = asyncio.create_task(self._watch(entity))
        if self.supervisor.is_halted:
            in_background(self._steer(entity))  # it may have been paused before the entity ran
        return handoff

    def steer(self, window: int) -> None:
        """Have entities begin no further operation of this batch while that is paused."""
        for entity in self._entities.values():
            in_background(self._steer(entity))

    async def _steer(self, entity: _Entity) -> None:
        handle, supervisor = workflow.get_external_workflow_handle(entity.workflow_id), self.supervisor
        async with entity.steering:
            while entity.is_held is not supervisor.is_halted and (entity.handoffs or entity.is_held):
                if not workflow.patched(PAUSE_HOLDS_HANDOFF):
                    return
                entity.is_held = supervisor.is_halted
                signal = HOLD_OPERATIONS_SIGNAL if entity.is_held else RESUME_OPERATIONS_SIGNAL
                await signal_if_open(handle, signal, workflow.info().run_id)

    def _entity_of(self, name: str) -> _Entity:
        if name not in self._entities:
            workflow_id = entity_id(self._given.processor, name)
            entity = self._entities[name] = _Entity(name, workflow_id, len(self._entities))
            place = Place(workflow.info().workflow_id, NodeKind.ENTITY, name, entity.position, is_workflow=False)
            self.supervisor.outbox.put(EventKind.STARTED, self._row(entity), self._run_id, place=place)
        return self._entities[name]

    def _row(self, entity: _Entity) -> str:
        """Return the id of an entity's row in this batch: an entity has one in each of its batches."""
        return f"{workflow.info().workflow_id}/e{entity.position}"

    @property
    def _run_id(self) -> str:
        return attempt_id(self._given.attempt_id)

    def _note(self, entity: _Entity) -> None:
        """Note at an entity's row which operation of this batch it runs, and how many wait."""
        text = "idle"
        if entity.handoffs:
            text = f"operation #{entity.handoffs[0].chunk.child}, {len(entity.handoffs) - 1:,} waiting"
        self.supervisor.outbox.put(EventKind.NOTE, self._row(entity), "", note=text)

    async def _watch(self, entity: _Entity) -> None:
        """Wait for an entity to close while it has operations of this batch: those fail with it."""
        wait = start_awaiting(entity.workflow_id)
        await workflow.wait_condition(lambda: wait.done() or not entity.handoffs)
        entity.watch = None
        if not wait.done():
            wait.cancel()
        try:
            await wait
        except (ActivityError, asyncio.CancelledError):
            pass
        else:
            for handoff in entity.handoffs:
                handoff.fail(ApplicationError(f"{entity.name} was ended outside Canopy.", type=ENTITY_GONE))
            entity.handoffs.clear()
        if entity.handoffs and entity.watch is None:
            entity.watch = asyncio.create_task(self._watch(entity))

    def handoff_reported(self, report: WorkerReport) -> None:
        """Record how an operation ended."""
        entity = self._entity_of_child.get(report.child if report.child is not None else -1)
        if entity is None:
            return
        for handoff in [each for each in entity.handoffs if each.chunk.run_id == report.run_id]:
            entity.handoffs.remove(handoff)
            handoff.end(report)
            self._note(entity)

    def _drop(self, entity: _Entity, run_id: str) -> None:
        handle = workflow.get_external_workflow_handle(entity.workflow_id)
        in_background(signal_if_open(handle, DROP_CHUNK_SIGNAL, run_id))

    async def close(self) -> None:
        """Report the entities' rows as closed: this batch is done with them, the entities stay open."""
        for entity in self._entities.values():
            self.supervisor.outbox.put(EventKind.CLOSED, self._row(entity), self._run_id, outcome=Status.COMPLETED)
