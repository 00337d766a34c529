"""DjangoChunkStore: item slices and results for the workers, behind orchestration's ChunkStore."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from django.db import close_old_connections, connection
from django.db.models import F
from django.utils import timezone

from dashboard import growth, projection
from dashboard.ledger import update_rows, write_columns
from dashboard.models import Attempt, Batch, Item, Node
from dashboard.reports import write_report
from dashboard.stages import definition_of, stages_of, work_of
from dashboard.storable import json_text, storable, text
from dashboard.tree_rows import resource_of
from dashboard.uploads import open_upload, parts_of
from orchestration.chunk_contracts import (
    ChunkInput,
    ChunkNote,
    ChunkWork,
    ItemResult,
    ItemWork,
    ResourcesInput,
    SagaItem,
)
from orchestration.contracts import (
    EventKind,
    Failure,
    NodeKind,
    ReadPage,
    Section,
    Status,
    SummariseInput,
    TreeEvent,
    WantedFanOut,
    WantedPage,
    WantedSection,
)
from orchestration.plan import Plan
from orchestration.signatures import signature_of

log = logging.getLogger(__name__)

EARLIER_FAILURES = 20
"""Failures of earlier runs that are kept with an item."""

COMPLETED_COLUMNS = ("status", "attempts", "run_id", "result", "duration", "finished_at")
"""What changes when an item completes that has never failed."""

RESULT_STATE = (*COMPLETED_COLUMNS, "error_type", "error_message", "error_stack", "signature", "earlier")

P = ParamSpec("P")
R = TypeVar("R")


def _in_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Drop connections that have died before and after a call: worker threads see no request end."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        _drop_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            _drop_old_connections()

    return call


def _drop_old_connections() -> None:
    if not connection.in_atomic_block:
        close_old_connections()


class DjangoChunkStore:
    """Items and reports in Django's database. Safe to call from several threads."""

    @_in_thread
    def write_report(self, given: SummariseInput) -> None:
        """Write the report of a run, once. Raises LookupError for a batch that is gone."""
        write_report(given)

    @_in_thread
    def read_chunk(self, work: ChunkInput, run_id: str) -> ChunkWork:
        """Return what a run of a child has still to do. Raises LookupError for a batch that is gone or discarded."""
        fields = ("processor", "parameters", "plan_data", "status", "opened_at", "definition")
        batch = Batch.objects.filter(pk=work.batch_id).only(*fields).first()
        if batch is not None and batch.is_discarded:
            raise LookupError(f"Batch {work.batch_id} was discarded before it started.")
        if batch is None:
            raise LookupError(f"Batch {work.batch_id} does not exist.")
        if work.undo:
            return _to_undo(batch, work)
        items = list(
            Item.objects.filter(batch=batch, index__gte=work.offset, index__lt=work.offset + work.length)
            .values_list("index", "key", "data", "attempts", "status", "run_id", "error_type", "error_message")
            .order_by("index")
        )
        if len(items) != work.length:
            raise LookupError(f"Batch {work.batch_id} has {len(items)} of the items {work.offset} +{work.length}.")
        todo, completed, failures = list[ItemWork](), 0, list[Failure]()
        for index, key, data, attempts, status, of_run, error_type, error_message in items:
            if status == Status.COMPLETED:
                completed += 1
            elif status == Status.FAILED and of_run == run_id:
                failures.append(Failure(error_type, error_message))
            else:
                todo.append(ItemWork(index, key, data, attempts))
        return ChunkWork(
            *_work_of(batch, work),
            items=todo,
            completed=completed,
            failed=len(failures),
            sample=failures[0] if failures else None,
        )

    @_in_thread
    def read_resources(self, wanted: ResourcesInput) -> list[str]:
        """Return what the items of a slice name as their resource; an item that names none has its key."""
        items = Item.objects.filter(
            batch=wanted.batch_id, index__gte=wanted.offset, index__lt=wanted.offset + wanted.length
        ).order_by("index")
        found = [resource_of(key, data, wanted.field) for key, data in items.values_list("key", "data")]
        if len(found) != wanted.length:
            raise LookupError(
                f"Batch {wanted.batch_id} has {len(found)} of the items {wanted.offset} +{wanted.length}."
            )
        return found

    @_in_thread
    def read_page(self, wanted: WantedPage) -> ReadPage:
        """Make a page of a batch's input, once. Raises LookupError, InputUnreadable."""
        return growth.read_page(wanted)

    @_in_thread
    def advance(self, wanted: WantedSection) -> Section:
        """Make a section of a pipeline, once. Raises LookupError."""
        return growth.advance(wanted)

    @_in_thread
    def begin_fan_out(self, wanted: WantedFanOut) -> Section:
        """Make a section of a flow, once. Raises LookupError, CannotFanOut."""
        return growth.begin_fan_out(wanted)

    @_in_thread
    def read_saga_item(self, chunk: ChunkInput) -> SagaItem:
        """Return the one item of a chunk, and the saga that it goes through. Raises LookupError."""
        found = Item.objects.select_related("batch").filter(batch=chunk.batch_id, index=chunk.offset)
        if (item := found.first()) is None or item.batch.is_discarded or item.batch.definition_id is None:
            raise LookupError(f"Batch {chunk.batch_id} has no item {chunk.offset} with a saga.")
        saga = definition_of(item.batch.definition_id).model_dump(mode="json", by_alias=True, exclude_none=True)
        return SagaItem(saga, item.data, item.attempts, is_done=item.status == Status.COMPLETED)

    def read_upload(self, upload_id: str) -> Iterator[bytes]:
        """Yield the content of a file that is a parameter. Raises LookupError when it is gone."""
        return parts_of(_in_thread(open_upload)(upload_id))

    @_in_thread
    def write_note(self, note: ChunkNote) -> None:
        """Show what a running child is doing."""
        names = Node.objects.filter(batch=note.batch_id, kind=NodeKind.CHILD, position=note.child)
        for name in names.values_list("workflow_id", flat=True):
            event = TreeEvent(EventKind.NOTE, name, "", timezone.now(), note=note.text)
            projection.apply(note.batch_id, [event])

    @_in_thread
    def write_results(self, results: Sequence[ItemResult]) -> None:
        """Record results, one transaction a batch. A completed item never becomes anything else."""
        by_batch = defaultdict[str, dict[int, ItemResult]](dict)
        for result in results:
            by_batch[result.batch_id][result.index] = result
        for batch_id, of_batch in by_batch.items():
            try:
                undone = {index: of_batch.pop(index) for index, result in list(of_batch.items()) if result.undone}
                _write_undone(batch_id, undone)
                if of_batch:
                    _write_batch(batch_id, of_batch)
            except Batch.DoesNotExist:
                log.warning("Dropped %s results of batch %s, which does not exist.", len(of_batch), batch_id)


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
    others = Node.objects.filter(
        batch=batch, kind=NodeKind.CHILD, position=child, operation__parameters__isnull=False
    ).values_list("operation__parameters", flat=True)
    return next(iter(others), batch.parameters)


def _to_undo(batch: Batch, work: ChunkInput) -> ChunkWork:
    """Return the completed items of a slice that have not been undone yet."""
    items = Item.objects.filter(
        batch=batch, index__gte=work.offset, index__lt=work.offset + work.length, status=Status.COMPLETED
    ).order_by("index")
    todo = [
        ItemWork(item.index, item.key, item.data, item.attempts, item.result) for item in items if not item.undone_at
    ]
    return ChunkWork(*_work_of(batch, work), todo, completed=len(items) - len(todo))


def _write_undone(batch_id: str, results: Mapping[int, ItemResult]) -> None:
    """Record what became of undoing items; their result stays readable."""
    now = timezone.now()
    for index, result in results.items():
        failure = result.failure
        error = text(f"{failure.type}: {failure.message}") if failure else ""
        changed = {"undo_error": error} if failure else {"undo_error": "", "undone_at": now}
        Item.objects.filter(batch=batch_id, index=index).update(**changed)


def _write_batch(batch_id: str, results: dict[int, ItemResult]) -> None:
    with projection.counting_items(batch_id) as moved:
        items = Item.objects.filter(batch=batch_id, index__in=results)
        touched = items.exclude(status=Status.PENDING, error_type="")
        others = dict(touched.values_list("index", "status"))
        others |= {index: Status.PENDING for index, result in results.items() if result.failure is not None} | others
        first = [result for index, result in results.items() if index not in others]
        for result in first:
            moved[result.child]["items_completed"] += 1
        _write_completed(batch_id, first)
        left = [index for index, status in others.items() if status != Status.COMPLETED]
        if left:
            _write_others(batch_id, items.filter(index__in=left), results, moved)


def _write_completed(batch_id: str, results: Sequence[ItemResult]) -> None:
    """Write items that complete at once: most of all items, so without reading them or making a model of each."""
    status, now = Status.COMPLETED.value, connection.ops.adapt_datetimefield_value(timezone.now())
    values = [
        (
            *(status, each.attempts, each.run_id, json_text(each.result), each.duration, now),
            *(batch_id, each.index),
        )
        for each in results
    ]
    write_columns(Item, COMPLETED_COLUMNS, values, key=("batch_id", "index"))


def _write_others(
    batch_id: str, items: Iterable[Item], results: dict[int, ItemResult], moved: dict[int, Counter[str]]
) -> None:
    """Write items that failed, now or before."""
    outdated = _outdated_runs(batch_id, results.values())
    written = list[Item]()
    for item in items:
        result = results[item.index]
        if not _is_news(item, result) or (result.failure is not None and result.run_id in outdated):
            continue
        if item.status == Status.FAILED:
            moved[item.child]["items_failed"] -= 1
        _take_result(item, result)
        moved[item.child][f"items_{item.status}"] += 1
        written.append(item)
    update_rows(Item, written, RESULT_STATE)


def _is_news(item: Item, result: ItemResult) -> bool:
    """Whether a result may change an item: not one that completed, nor a second failure in the same run."""
    if item.status == Status.COMPLETED:
        return False
    return item.status != Status.FAILED or item.run_id != result.run_id or result.failure is None


def _outdated_runs(batch_id: str, results: Iterable[ItemResult]) -> set[str]:
    """Return the runs that failed items although their child runs anew: a worker that was lost and still writes."""
    failed = [result for result in results if result.failure is not None]
    if not failed:
        return set()
    attempts = Attempt.objects.filter(
        node__batch=batch_id,
        node__kind=NodeKind.CHILD,
        node__position__in={result.child for result in failed},
        run_id__in={result.run_id for result in failed},
    )
    return set(attempts.exclude(run_id=F("node__run_id")).values_list("run_id", flat=True))


def _take_result(item: Item, result: ItemResult) -> None:
    if item.error_type:
        earlier = {
            "attempts": item.attempts,
            "type": item.error_type,
            "message": item.error_message,
            "at": item.finished_at.isoformat() if item.finished_at else None,
        }
        item.earlier = [*item.earlier, earlier][-EARLIER_FAILURES:]
    failure = result.failure
    item.status = Status.COMPLETED if failure is None else Status.FAILED
    item.attempts = result.attempts
    item.run_id = result.run_id
    item.result = storable(result.result)
    item.error_type = text(failure.type[:200]) if failure else ""
    item.error_message = text(failure.message) if failure else ""
    item.error_stack = text(failure.stack) if failure else ""
    item.signature = signature_of(failure.type, failure.message) if failure else item.signature
    item.duration = result.duration
    item.finished_at = timezone.now()
