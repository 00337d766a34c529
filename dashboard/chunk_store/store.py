"""The store of workers that share the database: implements orchestration's ChunkStore protocol."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence

from django.db import connection
from django.utils import timezone

from dashboard.chunk_store import begun_items, input_pages, sections, step_results
from dashboard.chunk_store.chunk_reads import lacking_children, read_work
from dashboard.chunk_store.item_results import write_processed, write_undone
from dashboard.chunk_store.reports import write_report
from dashboard.database.away import store_call
from dashboard.definitions.stages import definition_of
from dashboard.inputs.uploads import open_upload, read_parts
from dashboard.models import Batch, Item, Node
from dashboard.projection.events import apply_events
from dashboard.projection.tree_writer import resource_of
from orchestration.contracts.carried import carried
from orchestration.contracts.chunks import (
    BegunItems,
    ChildRange,
    ChunkInput,
    ChunkNote,
    ChunkWork,
    ItemResult,
    ResourcesInput,
)
from orchestration.contracts.events import EventKind, NodeKind, TreeEvent
from orchestration.contracts.fan_out import InputPage, PageRequest, SummariseInput
from orchestration.contracts.flows import FanOutRequest, Section, SectionRequest
from orchestration.contracts.item_workflows import SagaItem
from orchestration.contracts.status import Status
from orchestration.contracts.step_results import StepResult

log = logging.getLogger(__name__)


class DjangoChunkStore:
    """Items and reports in Django's database. Safe to call from several threads."""

    @store_call
    def ping(self) -> None:
        """Raise StoreAway where the database is away."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    @store_call
    def write_report(self, given: SummariseInput) -> None:
        """Write the report of a run, once. Raises LookupError for a batch that is gone."""
        write_report(given)

    @store_call
    def read_chunk(self, work: ChunkInput, run_id: str) -> ChunkWork:
        """Return what a run of a child has yet to do. Raises LookupError for a batch that is gone or discarded."""
        return read_work(work, run_id)

    @store_call
    def read_resources(self, wanted: ResourcesInput) -> list[str]:
        """Return the resource that each item of a slice names, or its key. Raises LookupError if items are missing."""
        items = Item.objects.filter(
            batch=wanted.batch_id, index__gte=wanted.offset, index__lt=wanted.offset + wanted.length
        ).order_by("index")
        found = [resource_of(key, data, wanted.field) for key, data in items.values_list("key", "data")]
        if len(found) != wanted.length:
            raise LookupError(
                f"Batch {wanted.batch_id} has {len(found)} of the items {wanted.offset} +{wanted.length}."
            )
        return found

    @store_call
    def lacking_children(self, wanted: ChildRange) -> list[int]:
        """Return the children of a range that are not done, or not undone. Raises LookupError."""
        return lacking_children(wanted)

    @store_call
    def read_page(self, wanted: PageRequest) -> InputPage:
        """Write a page of a batch's input, once. Raises LookupError, InputUnreadable."""
        return input_pages.read_page(wanted)

    @store_call
    def advance(self, wanted: SectionRequest) -> Section:
        """Write a section of a pipeline, once. Raises LookupError."""
        return sections.advance(wanted)

    @store_call
    def begin_fan_out(self, wanted: FanOutRequest) -> Section:
        """Write a section of a flow, once. Raises LookupError, CannotFanOut."""
        return sections.begin_fan_out(wanted)

    @store_call
    def read_saga_item(self, chunk: ChunkInput) -> SagaItem:
        """Return the one item of a chunk, and the saga that it goes through. Raises LookupError."""
        found = Item.objects.select_related("batch").filter(batch=chunk.batch_id, index=chunk.offset)
        if (item := found.first()) is None or item.batch.is_discarded or item.batch.definition_id is None:
            raise LookupError(f"Batch {chunk.batch_id} has no item {chunk.offset} with a saga.")
        saga = carried(definition_of(item.batch.definition_id).as_data())
        return SagaItem(saga, item.data, item.attempts, is_done=item.status == Status.COMPLETED)

    @store_call
    def write_step_result(self, result: StepResult) -> None:
        """Keep the result of a step. Raises LookupError for a batch that is gone."""
        step_results.write(result)

    @store_call
    def read_step_result(self, batch_id: str, result_id: str) -> bytes:
        """Return the content of a step's result. Raises LookupError when it is gone."""
        return step_results.read(batch_id, result_id)

    def read_upload(self, upload_id: str) -> Iterator[bytes]:
        """Yield the content of a file that is a parameter. Raises LookupError when it is gone."""
        return read_parts(store_call(open_upload)(upload_id))

    @store_call
    def write_note(self, note: ChunkNote) -> None:
        """Set the note of a running child."""
        names = Node.objects.filter(batch=note.batch_id, kind=NodeKind.CHILD, position=note.child)
        for name in names.values_list("workflow_id", flat=True):
            event = TreeEvent(EventKind.NOTE, name, "", note.at or timezone.now(), note=note.text)
            apply_events(note.batch_id, [event])

    @store_call
    def note_begun(self, begun: BegunItems) -> list[int]:
        """Note that items are begun, and return how often each was in other passes of the same run."""
        return begun_items.note(begun)

    @store_call
    def forget_begun(self, begun: BegunItems) -> None:
        """Take notes of begun items back."""
        begun_items.forget(begun)

    @store_call
    def write_results(self, results: Sequence[ItemResult]) -> None:
        """Record results, one transaction a batch. A completed item never becomes anything else."""
        by_batch = defaultdict[str, dict[int, ItemResult]](dict)
        for result in results:
            by_batch[result.batch_id][result.index] = result
        for batch_id, of_batch in by_batch.items():
            try:
                undone = {index: of_batch.pop(index) for index, result in list(of_batch.items()) if result.undone}
                write_undone(batch_id, undone)
                if of_batch:
                    write_processed(batch_id, of_batch)
            except Batch.DoesNotExist:
                log.warning("Dropped %s results of batch %s, which does not exist.", len(of_batch), batch_id)
