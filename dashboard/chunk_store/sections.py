"""Sections of a flow, which add nodes and items to a batch while it runs. Each is written once, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Q, QuerySet

from dashboard.database.bulk import slices
from dashboard.definitions.stages import sections_of, stages_of
from dashboard.inputs.rows import InputRow
from dashboard.models import Batch, Item, Node
from dashboard.projection.ledger import Ledger, extending_batch
from dashboard.projection.tree_writer import write_below, write_section
from orchestration.contracts.flows import FanOutRequest, Section, SectionRequest
from orchestration.contracts.status import Status
from orchestration.contracts.stores import CannotFanOut
from orchestration.contracts.workflow_ids import stage_id
from orchestration.definitions.expressions import holds
from orchestration.definitions.models import Stage, Takes
from orchestration.definitions.outline import condition_text
from orchestration.plan.layout import Layout
from orchestration.plan.validation import problems

ROWS_AT_ONCE = 2_000


def advance(wanted: SectionRequest) -> Section:
    """Write a section, once: a stage over the items that the stage before has passed on since the last section.

    The section is empty if there are none. Raises LookupError for a batch that is gone or was discarded.
    """
    with extending_batch(wanted.batch_id) as ledger:
        sections = sections_of(ledger.batch)
        known = next((section for section in sections if section.number == wanted.number), None)
        return known or _write_next_section(ledger, wanted, sections)


def begin_fan_out(wanted: FanOutRequest) -> Section:
    """Write a section of a flow, once, over a list or a copy of the batch's items; an empty one if there are none.

    Raises CannotFanOut; LookupError for a batch that is gone or was discarded.
    """
    with extending_batch(wanted.batch_id) as ledger:
        known = {section.number: section for section in sections_of(ledger.batch)}
        stages = stages_of(ledger.batch.definition_id)
        section = known.get(wanted.number) or _write_fan_out(ledger, wanted, stages[wanted.stage], known)
        _position_section(ledger, wanted)
        return section


def _write_fan_out(ledger: Ledger, wanted: FanOutRequest, stage: Stage, known: Mapping[int, Section]) -> Section:
    batch = ledger.batch
    number = len(wanted.items) if wanted.items is not None else known[0].items if 0 in known else 0
    section = Section(wanted.number, wanted.stage, batch.child_count, batch.item_count, number)
    if not number:
        return section
    if found := problems(stage.plan, number):
        raise CannotFanOut(f"{stage.name}: {' '.join(found.values())}")
    _write_below_section(
        ledger, section, stage, _batch_rows(batch, number) if wanted.items is None else _list_rows(wanted.items)
    )
    return section


def _write_below_section(ledger: Ledger, section: Section, stage: Stage, rows: Iterator[InputRow]) -> None:
    """Write a section's node, children and items, and add them to the batch."""
    batch, number = ledger.batch, section.items
    layout = Layout.of(stage.plan, number, first_child=section.first_child, first_item=section.first_item)
    node = write_section(batch, ledger.root, section, stage, number, revision=ledger.revision)
    write_below(batch, node, layout, rows, plan=stage.plan, section=section.number)
    ledger.extend(partitions=0, children=layout.children, items=number)


def _batch_rows(batch: Batch, number: int) -> Iterator[InputRow]:
    """Yield the items that the batch was launched with, which come first."""
    found = Item.objects.filter(batch=batch, index__lt=number).order_by("index").values_list("key", "data")
    for key, data in found.iterator(chunk_size=ROWS_AT_ONCE):
        yield InputRow(key, data)


def _list_rows(items: Sequence[Any]) -> Iterator[InputRow]:
    """Yield the items of a list. A plain value is its own key; another has its number in the list."""
    for place, item in enumerate(items, start=1):
        if isinstance(item, Mapping):
            yield InputRow(str(place), item)
        else:
            yield InputRow(str(place) if isinstance(item, list) or item is None else str(item), {"value": item})


def _position_section(ledger: Ledger, wanted: FanOutRequest) -> None:
    """Move the row of a new section to its place among the rows of the flow."""
    section = Node.objects.filter(batch=ledger.batch, workflow_id=stage_id(wanted.batch_id, wanted.number))
    section.update(position=wanted.position)
    for node in ledger.track(section):
        node.note = f"fan-out in {wanted.around}" if wanted.around else "fan-out"


def _write_next_section(ledger: Ledger, wanted: SectionRequest, sections: list[Section]) -> Section:
    batch, stages = ledger.batch, stages_of(ledger.batch.definition_id)
    stage, before = stages[wanted.stage], stages[wanted.stage - 1]
    completed = _completed_in(batch, [each for each in sections if each.stage == wanted.stage - 1])
    if before.keep is not None:
        _mark_dropped(completed, before)
    passed = completed.filter(dropped="")
    section = Section(wanted.number, wanted.stage, batch.child_count, batch.item_count, passed.count())
    if section.items:
        _write_below_section(ledger, section, stage, _stage_rows(passed, stage))
    _note_outcomes(ledger, [each for each in sections if each.stage == wanted.stage - 1])
    completed.update(moved_on=True)
    return section


def _completed_in(batch: Batch, sections: list[Section]) -> QuerySet[Item]:
    """Return the completed items of some sections that have not moved on yet."""
    ranges = Q(pk__in=())
    for each in sections:
        ranges |= Q(index__gte=each.first_item, index__lt=each.first_item + each.items)
    return Item.objects.filter(ranges, batch=batch, status=Status.COMPLETED, moved_on=False)


def _mark_dropped(completed: QuerySet[Item], stage: Stage) -> None:
    """Mark completed items that the stage's condition does not keep as dropped, with the reason."""
    assert stage.keep is not None
    why = f"Dropped by {stage.name}: {condition_text(stage.keep)} is not met."
    rows = completed.values_list("pk", "data", "result").iterator(chunk_size=ROWS_AT_ONCE)
    dropped = [pk for pk, data, result in rows if not holds(stage.keep, {"item": data, "result": result})]
    for some in slices(dropped, ROWS_AT_ONCE):
        Item.objects.filter(pk__in=some).update(dropped=why)


def _stage_rows(passed: QuerySet[Item], stage: Stage) -> Iterator[InputRow]:
    """Yield the rows that a stage processes, in the order of the items."""
    takes_result = stage.takes is Takes.RESULT
    found = passed.order_by("index").values_list("key", "result" if takes_result else "data")
    for key, data in found.iterator(chunk_size=ROWS_AT_ONCE):
        yield InputRow(key, data if isinstance(data, dict) else {"value": data})


def _note_outcomes(ledger: Ledger, sections: list[Section]) -> None:
    """Set the notes of sections to how many of their items were passed on, failed and dropped."""
    numbers = [each.number for each in sections]
    nodes = Node.objects.filter(
        batch=ledger.batch, workflow_id__in=[stage_id(ledger.batch.pk, each) for each in numbers]
    )
    for node in ledger.track(nodes):
        items = Item.objects.filter(batch=ledger.batch, index__gte=node.offset, index__lt=node.offset + node.length)
        dropped = items.exclude(dropped="").count()
        numbers_of = {
            "passed on": items.filter(status=Status.COMPLETED).count() - dropped,
            "failed": items.filter(status=Status.FAILED).count(),
            "dropped": dropped,
        }
        node.note = ", ".join(f"{number:,} {what}" for what, number in numbers_of.items() if number) or "None passed"
