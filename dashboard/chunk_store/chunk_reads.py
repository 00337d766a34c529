"""Reads of chunks: the items that a run of a child has yet to process or undo."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from django.db.models import Exists, F, OuterRef, Q

from dashboard.chunk_store.begun_items import ends_of
from dashboard.database.bulk import read_columns
from dashboard.definitions.stages import pool_or_entity_of, stages_of
from dashboard.models import Batch, Item, Node
from orchestration.contracts.chunks import ChildRange, ChunkInput, ChunkWork, ItemWork
from orchestration.contracts.events import NodeKind
from orchestration.contracts.status import Failure, Status
from orchestration.plan.plan import Plan

BATCH_QUERY = """
    SELECT id, processor, parameters, plan_data, status, opened_at, definition_id, (
        SELECT operation.parameters
        FROM dashboard_node AS node JOIN dashboard_operation AS operation ON operation.id = node.operation_id
        WHERE node.batch_id = batch.id AND node.kind = %s AND node.position = %s AND operation.parameters IS NOT NULL
        LIMIT 1
    ) AS other_parameters
    FROM dashboard_batch AS batch
    WHERE id = %s
"""
"""A batch, and the parameters that the newest operation on a child gave it, if any."""

ITEM_COLUMNS = ("index", "key", "data", "attempts", "status", "run_id", "error_type", "error_message")
SLICE = 'batch_id = %s AND "index" >= %s AND "index" < %s ORDER BY "index"'


def read_work(work: ChunkInput, run_id: str) -> ChunkWork:
    """Return what a run of a child has yet to do. Raises LookupError for a batch that is gone or discarded."""
    found = iter(Batch.objects.raw(BATCH_QUERY, (NodeKind.CHILD.value, work.child, work.batch_id)))
    if (batch := next(found, None)) is None:
        raise LookupError(f"Batch {work.batch_id} does not exist.")
    if batch.is_discarded:
        raise LookupError(f"Batch {work.batch_id} was discarded before it started.")
    found_work = _work_to_undo(batch, work) if work.undo else _work_to_do(batch, work, run_id)
    return _with_ends(found_work, work, run_id) if work.after_loss else found_work


def lacking_children(wanted: ChildRange) -> list[int]:
    """Return the children of a range of which an item has not completed, or one that did has not been undone.

    Raises LookupError for a batch that is gone.
    """
    if not Batch.objects.filter(pk=wanted.batch_id).exists():
        raise LookupError(f"Batch {wanted.batch_id} does not exist.")
    children = Node.objects.filter(
        batch=wanted.batch_id, kind=NodeKind.CHILD, position__gte=wanted.first, position__lt=wanted.stop
    )
    last = OuterRef("offset") + OuterRef("length")
    to_undo = Item.objects.filter(
        batch=wanted.batch_id,
        status=Status.COMPLETED,
        undone_at=None,
        index__gte=OuterRef("offset"),
        index__lt=last,
    )
    is_lacking = Exists(to_undo) if wanted.undo else Q(items_completed__lt=F("length"))
    return list(children.filter(is_lacking).order_by("position").values_list("position", flat=True))


def _with_ends(found: ChunkWork, work: ChunkInput, run_id: str) -> ChunkWork:
    ends = ends_of(work, run_id)
    return replace(found, items=[replace(item, ends=ends.get(item.index, 0)) for item in found.items])


def _work_to_do(batch: Batch, work: ChunkInput, run_id: str) -> ChunkWork:
    """Return the items of a slice that are not completed and have not failed in this run of the child."""
    items = read_columns(Item, ITEM_COLUMNS, SLICE, (work.batch_id, work.offset, work.offset + work.length))
    if len(items) != work.length:
        raise LookupError(f"Batch {work.batch_id} has {len(items)} of the items {work.offset} +{work.length}.")
    todo, completed, failures = list[ItemWork](), 0, list[Failure]()
    every = json.loads(f"[{','.join(data for _, _, data, *_ in items)}]")  # much quicker than one at a time
    for (index, key, _, attempts, status, of_run, error_type, error_message), data in zip(items, every, strict=True):
        if status == Status.COMPLETED:
            completed += 1
        elif status == Status.FAILED and of_run == run_id:
            failures.append(Failure(error_type, error_message))
        else:
            todo.append(ItemWork(index, key, data, attempts))
    return ChunkWork(
        *_processing_of(batch, work),
        items=todo,
        completed=completed,
        failed=len(failures),
        sample=failures[0] if failures else None,
    )


def _work_to_undo(batch: Batch, work: ChunkInput) -> ChunkWork:
    """Return the completed items of a slice that have not been undone yet."""
    items = Item.objects.filter(
        batch=batch, index__gte=work.offset, index__lt=work.offset + work.length, status=Status.COMPLETED
    ).order_by("index")
    todo = [
        ItemWork(item.index, item.key, item.data, item.attempts, item.result) for item in items if not item.undone_at
    ]
    return ChunkWork(*_processing_of(batch, work), todo, completed=len(items) - len(todo))


def _processing_of(batch: Batch, work: ChunkInput) -> tuple[str, dict[str, Any], Plan]:
    """Return the processor, parameters and plan of a chunk: its stage's if it has one, else the batch's."""
    if work.stage is None:
        defined = pool_or_entity_of(batch.definition_id)
        if defined is None:
            return batch.processor, _parameters_of(batch), batch.plan
        return defined.processor, defined.parameters, batch.plan
    stage = stages_of(batch.definition_id)[work.stage]
    return stage.processor, stage.parameters, stage.plan


def _parameters_of(batch: Batch) -> dict[str, Any]:
    """Return the parameters of a child: its operation's if that has any, else the batch's."""
    others: str | None = vars(batch)["other_parameters"]
    parameters: dict[str, Any] = batch.parameters if others is None else json.loads(others)
    return parameters
