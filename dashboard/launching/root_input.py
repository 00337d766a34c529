"""The input of a batch's root workflow: a fan-out or a flow."""

from __future__ import annotations

from dataclasses import replace

from django.db.models import Q

from dashboard.definitions.stages import (
    definition_of,
    is_saga_of_items,
    pool_or_entity_of,
    section_nodes,
    sections_of,
    stages_of,
)
from dashboard.models import Attempt, Batch, DefinitionVersion
from orchestration.contracts.carried import carried
from orchestration.contracts.events import NodeKind
from orchestration.contracts.fan_out import Cursor, FanOutInput
from orchestration.contracts.flows import FlowInput
from orchestration.contracts.names import CHUNK_WORKFLOW, ITEM_SAGA_WORKFLOW
from orchestration.contracts.root_input import RootInput
from orchestration.contracts.workflow_ids import section_number
from orchestration.plan.layout import Layout
from orchestration.processors.catalogue import processors


def root_input(batch: Batch) -> RootInput:
    """Return the input of a batch's root workflow."""
    if batch.definition is not None and is_saga_of_items(batch.definition.pk):
        return replace(fan_out_input(batch), child_workflow=ITEM_SAGA_WORKFLOW)
    if batch.definition is None or pool_or_entity_of(batch.definition.pk) is not None:
        return fan_out_input(batch)
    return flow_input(batch, batch.definition)


def flow_input(batch: Batch, version: DefinitionVersion) -> FlowInput:
    """Return the input of a root that runs a definition as a flow."""
    definition = carried(definition_of(version.pk).as_data())
    label = f"{batch.processor}: {batch}"
    start = FlowInput(batch.pk, batch.plan, batch.item_count, definition, label=label, sections=sections_of(batch))
    return replace(start, unapproved=_unapproved_sections(batch))


def fan_out_input(batch: Batch) -> FanOutInput:
    """Return the input of a root that is one fan-out."""
    label = f"{batch.processor}: {batch.label or batch.pk} ({batch.item_count:,} items)"
    plan = batch.plan
    children = Layout.of(plan, batch.item_count).children
    cursor = Cursor() if plan.paged else None
    defined = pool_or_entity_of(batch.definition_id)
    name = defined.processor if defined is not None else batch.processor
    items = batch.item_count
    fan_out = FanOutInput(batch.pk, plan, items, 0, children, window=batch.window, label=label)
    found = processors().get(name)
    child_workflow = found.child_workflow if found is not None else ""
    return replace(
        fan_out,
        cursor=cursor,
        processor=name,
        child_workflow=child_workflow or CHUNK_WORKFLOW,
        approved=not plan.approval or _has_run(batch, Q()),
    )


def _unapproved_sections(batch: Batch) -> list[int]:
    """Return the numbers of the sections that need an approval and of which no child has run."""
    asking = {stage.name for stage in stages_of(batch.definition_id) if stage.plan.approval}
    nodes = [node for node in section_nodes(batch) if node.label in asking] if asking else []
    below = {node: Q(node__parent=node) | Q(node__parent__parent=node) for node in nodes}
    return [section_number(node.workflow_id) for node in nodes if not _has_run(batch, below[node])]


def _has_run(batch: Batch, where: Q) -> bool:
    """Whether a child has run, which shows that the start was approved."""
    return Attempt.objects.filter(where, batch=batch, node__kind=NodeKind.CHILD).exists()
