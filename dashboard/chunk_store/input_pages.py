"""Pages of an input that is read while its batch runs, each written once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from dashboard.database.sanitising import text
from dashboard.inputs.dialect import Dialect
from dashboard.inputs.reader import InputReader
from dashboard.inputs.rows import BadRow, InputRow
from dashboard.inputs.source import Format, Position, Source, SourceError
from dashboard.inputs.uploads import opener
from dashboard.models import Batch, Node, Upload
from dashboard.projection.ledger import Ledger, extending_batch
from dashboard.projection.tree_writer import write_page
from orchestration.contracts.events import NodeKind
from orchestration.contracts.fan_out import InputPage, PageRequest
from orchestration.contracts.stores import InputUnreadable
from orchestration.contracts.workflow_ids import partition_id
from orchestration.plan.layout import Layout
from orchestration.processors.catalogue import get_processor

BAD_ROWS_KEPT = 100


def read_page(wanted: PageRequest) -> InputPage:
    """Write a page of a batch's input, once: a partition, its children and their items.

    Pages before it that the database has lost since they were read are written again with it. Raises LookupError for a
    batch that is gone or was discarded, InputUnreadable.
    """
    try:
        with extending_batch(wanted.batch_id) as ledger:
            if wanted.page < ledger.batch.partition_count:
                return _existing_page(ledger.batch, wanted.page)
            page = InputPage(0, is_last=True)
            for number in range(ledger.batch.partition_count, wanted.page + 1):
                if ledger.batch.reading["is_last"]:
                    return InputPage(0, is_last=True)
                page = _read_page(ledger, number)
            return page
    except SourceError as error:
        raise InputUnreadable(str(error)) from error


def _existing_page(batch: Batch, page: int) -> InputPage:
    length = Node.objects.get(batch=batch, kind=NodeKind.PARTITION, position=page).length
    return InputPage(length, is_last=batch.reading["is_last"] and page == batch.partition_count - 1)


def _read_page(ledger: Ledger, page: int) -> InputPage:
    batch, plan = ledger.batch, ledger.batch.plan
    full = plan.page_children * plan.chunk_size
    layout = Layout.of(plan, (page + 1) * full)
    reader = InputReader(source_of(batch), get_processor(batch.processor))
    partition = Node.objects.create(
        batch=batch,
        parent=ledger.root,
        kind=NodeKind.PARTITION,
        position=page,
        workflow_id=partition_id(batch.pk, page),
        offset=page * full,
        length=0,
        revision=ledger.revision,
    )
    items = write_page(batch, partition, layout, layout.partition_range(page), _good_rows(batch, reader))
    batch.reading = {**batch.reading, "is_last": items < full, "position": asdict(reader.position)}
    if items == 0:
        partition.delete()
        if batch.item_count == 0:
            raise InputUnreadable("There are no items.")
        return InputPage(0, is_last=True)
    children = Layout.of(plan, items).children
    partition.length = partition.items_pending = items
    partition.children_pending = children
    partition.save(update_fields=["length", "items_pending", "children_pending"])
    ledger.extend(partitions=1, children=children, items=items)
    return InputPage(items, is_last=items < full)


def source_of(batch: Batch) -> Source:
    """Return a batch's input from where reading stopped. Raises LookupError if the upload is gone."""
    given: dict[str, Any] = batch.source
    upload = Upload.objects.filter(pk=given["upload"]).first() if given.get("upload") else None
    kind = Format(given["kind"])
    if upload is None and kind is not Format.COUNT:
        raise LookupError(f"The upload of batch {batch.pk} no longer exists.")
    position = Position(**batch.reading.get("position", {}))
    return Source(
        kind,
        opener(upload),
        key=given.get("key") or "",
        count=given.get("count") or 0,
        start=position,
        dialect=Dialect.of(given.get("dialect")),
    )


def _good_rows(batch: Batch, reader: InputReader) -> Iterator[InputRow]:
    """Yield good rows. Raises InputUnreadable at a bad one, or counts it if the batch leaves bad rows out."""
    for _, row in reader:
        if isinstance(row, InputRow):
            yield row
        elif not batch.source.get("leave_out"):
            raise InputUnreadable(f"Line {row.line:,}: {row.message} Nothing from this page onwards was started.")
        else:
            _count_left_out(batch, row)


def _count_left_out(batch: Batch, row: BadRow) -> None:
    left_out, bad = batch.reading.get("left_out", 0), batch.reading.get("bad", [])
    kept = [*bad, [row.line, text(row.message)]] if len(bad) < BAD_ROWS_KEPT else bad
    batch.reading = {**batch.reading, "left_out": left_out + 1, "bad": kept}
