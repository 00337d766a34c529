"""Rollback of a closed batch: whether it is possible, and the root workflow's input that does it."""

from __future__ import annotations

from dataclasses import replace

from dashboard.definitions.stages import sections_of, stages_of
from dashboard.launching.compensation import has_compensation
from dashboard.launching.root_input import root_input
from dashboard.models import Batch, BatchStatus, Item
from orchestration.contracts.fan_out import FanOutInput
from orchestration.contracts.flows import Section
from orchestration.contracts.messages import MOST_CHILDREN
from orchestration.contracts.root_input import RootInput
from orchestration.contracts.status import Status
from orchestration.definitions.models import Stage
from orchestration.plan.layout import Layout


def can_undo(batch: Batch) -> bool:
    """Whether the processor of a batch, or of a stage of its pipeline, has a compensation."""
    if batch.watched_id or not (batch.definition_id is None or batch.processor == "pipeline"):
        return False
    names = [stage.processor for stage in stages_of(batch.definition_id)] or [batch.processor]
    return any(has_compensation(name) for name in names)


def may_roll_back(batch: Batch) -> bool:
    """Whether a batch is closed and can be rolled back now, for the first time or again for the rest."""
    is_over = not batch.is_open and batch.status != BatchStatus.PENDING and batch.opened_at is not None
    return is_over and can_undo(batch)


def rollback_input(batch: Batch) -> tuple[RootInput, int]:
    """Return the input of a root that undoes what has completed, and the number of children that it names.

    At most MOST_CHILDREN, the last ones: the rest is left to another rollback.
    """
    root = root_input(batch)
    if isinstance(root, FanOutInput):
        children = _children(batch)[-MOST_CHILDREN:]
        return replace(
            root, children=children, items=batch.item_count, stop=batch.child_count, cursor=None, undo=True
        ), len(children)
    stages, undo = stages_of(batch.definition_id), dict[int, list[int]]()
    left = MOST_CHILDREN
    for section in sorted(sections_of(batch), key=lambda each: each.number, reverse=True):
        stage = stages[section.stage]
        children = _of_section(batch, section, stage)[-left:] if left and has_compensation(stage.processor) else []
        if children:
            undo[section.number] = children
            left -= len(children)
    return replace(root, undo=undo), sum(map(len, undo.values()))


def _of_section(batch: Batch, section: Section, stage: Stage) -> list[int]:
    layout = Layout.of(stage.plan, section.items, first_child=section.first_child, first_item=section.first_item)
    return [child for child in _children(batch) if child in layout.child_range]


def _children(batch: Batch) -> list[int]:
    left = Item.objects.filter(batch=batch, status=Status.COMPLETED, undone_at=None)
    return list(left.order_by("child").values_list("child", flat=True).distinct())
