"""Chunk work: what a run of a child has still to do, read for the worker that is to do it."""

from __future__ import annotations

import json
from typing import Any

from dashboard.columns import read_columns
from dashboard.models import Batch, Item
from dashboard.operation_models import Operation
from dashboard.stages import stages_of, work_of
from orchestration.chunk_contracts import ChunkInput, ChunkWork, ItemWork
from orchestration.contracts import Failure, NodeKind, Status
from orchestration.plan import Plan

BATCH_FIELDS = ("processor", "parameters", "plan_data", "status", "opened_at", "definition")
ITEM_COLUMNS = ("index", "key", "data", "attempts", "status", "run_id", "error_type", "error_message")
SLICE = 'batch_id = %s AND "index" >= %s AND "index" < %s ORDER BY "index"'
TAKEN_ON_BY = (
    "id IN (SELECT operation_id FROM dashboard_node WHERE batch_id = %s AND kind = %s AND position = %s)"
    " AND parameters IS NOT NULL"
)


def read_work(work: ChunkInput, run_id: str) -> ChunkWork:
    """Return what a run of a child has still to do. Raises LookupError for a batch that is gone or discarded."""
    batch = Batch.objects.filter(pk=work.batch_id).only(*BATCH_FIELDS).first()
    if batch is None:
        raise LookupError(f"Batch {work.batch_id} does not exist.")
    if batch.is_discarded:
        raise LookupError(f"Batch {work.batch_id} was discarded before it started.")
    return _to_undo(batch, work) if work.undo else _to_do(batch, work, run_id)


def _to_do(batch: Batch, work: ChunkInput, run_id: str) -> ChunkWork:
    """Return the items of a slice that this run of the child has neither completed nor failed."""
    items = read_columns(Item, ITEM_COLUMNS, SLICE, (work.batch_id, work.offset, work.offset + work.length))
    if len(items) != work.length:
        raise LookupError(f"Batch {work.batch_id} has {len(items)} of the items {work.offset} +{work.length}.")
    todo, completed, failures = list[ItemWork](), 0, list[Failure]()
    for index, key, data, attempts, status, of_run, error_type, error_message in items:
        if status == Status.COMPLETED:
            completed += 1
        elif status == Status.FAILED and of_run == run_id:
            failures.append(Failure(error_type, error_message))
        else:
            todo.append(ItemWork(index, key, json.loads(data), attempts))
    return ChunkWork(
        *_work_of(batch, work),
        items=todo,
        completed=completed,
        failed=len(failures),
        sample=failures[0] if failures else None,
    )


def _to_undo(batch: Batch, work: ChunkInput) -> ChunkWork:
    """Return the completed items of a slice that have not been undone yet."""
    items = Item.objects.filter(
        batch=batch, index__gte=work.offset, index__lt=work.offset + work.length, status=Status.COMPLETED
    ).order_by("index")
    todo = [
        ItemWork(item.index, item.key, item.data, item.attempts, item.result) for item in items if not item.undone_at
    ]
    return ChunkWork(*_work_of(batch, work), todo, completed=len(items) - len(todo))


def _work_of(batch: Batch, work: ChunkInput) -> tuple[str, dict[str, Any], Plan]:
    """Return what a chunk's items are processed by: processor, parameters and plan, of its stage where it has one."""
    if work.stage is None:
        said = work_of(batch.definition_id)
        if said is None:
            return batch.processor, _parameters_of(batch, work.child), batch.plan
        name, parameters = said.processor, said.parameters
        return name, parameters, batch.plan
    stage = stages_of(batch.definition_id)[work.stage]
    return stage.processor, stage.parameters, stage.plan


def _parameters_of(batch: Batch, child: int) -> dict[str, Any]:
    """Return the parameters of a child: the batch's, unless the retry that it was taken on by gave it others."""
    others = read_columns(Operation, ("parameters",), TAKEN_ON_BY, (batch.pk, NodeKind.CHILD.value, child))
    return next((json.loads(parameters) for (parameters,) in others), batch.parameters)
