"""Lookups in a batch's definition: its stages, its pool or entity, and the sections that its stages have run in."""

from __future__ import annotations

from math import ceil

from dashboard.definitions.parsed import ParsedVersions
from dashboard.models import Batch, DefinitionVersion, Node
from orchestration.contracts.events import NodeKind
from orchestration.contracts.flows import Section
from orchestration.contracts.workflow_ids import section_number
from orchestration.definitions.models import Definition, Entity, Pipeline, Pool, Saga, Stage, Steps
from orchestration.definitions.parser import parse
from orchestration.processors.catalogue import processors

PARSED = ParsedVersions(versions=64, characters=4_000_000)


def definition_of(version_id: int) -> Definition:
    """Return a saved version, parsed; cached, since a version never changes. Raises DefinitionErrors."""
    kept = PARSED.get(version_id)
    if kept is None:
        text = DefinitionVersion.objects.values_list("text", flat=True).get(pk=version_id)
        kept = parse(text, processors(), to_launch=False)
        PARSED.keep(version_id, kept, len(text))
    return kept


def check_launchable(version_id: int) -> None:
    """Raise DefinitionErrors for a saved version that may not be launched now, though it could be saved."""
    parse(DefinitionVersion.objects.values_list("text", flat=True).get(pk=version_id), processors())


def stages_of(version_id: int | None) -> tuple[Stage, ...]:
    """Return the stages of a pipeline, or the fan-outs of steps; none for any other definition."""
    definition = definition_of(version_id) if version_id is not None else None
    return definition.stages if isinstance(definition, Pipeline | Steps) else ()


def first_stage(definition: Definition) -> tuple[int, Stage] | None:
    """Return the number of the first stage over the batch's items, and the stage; None if there is none."""
    if isinstance(definition, Pipeline):
        return 0, definition.stages[0]
    if isinstance(definition, Steps):
        over_items = (at for at, step in enumerate(definition.fan_outs) if step.fan_out.items == "batch")
        return next(((number, definition.stages[number]) for number in over_items), None)
    return None


def pool_or_entity_of(version_id: int | None) -> Pool | Entity | None:
    """Return a saved version if it is a pool or an entity, which run as one fan-out; None for any other."""
    definition = definition_of(version_id) if version_id is not None else None
    return definition if isinstance(definition, Pool | Entity) else None


def is_saga_of_items(version_id: int) -> bool:
    """Whether a definition is a saga that runs once per item."""
    definition = definition_of(version_id)
    return isinstance(definition, Saga) and definition.fan_out


def section_nodes(batch: Batch) -> list[Node]:
    """Return the nodes of a batch's sections in the order of their items."""
    return list(Node.objects.filter(batch=batch, kind=NodeKind.STAGE).order_by("offset"))


def sections_of(batch: Batch) -> list[Section]:
    """Return the sections that a batch has so far, by number; children and items are numbered in the order of nodes."""
    stages = stages_of(batch.definition_id)
    numbers = {stage.name: number for number, stage in enumerate(stages)}
    found, first_child = list[Section](), 0
    for node in section_nodes(batch):
        stage = numbers[node.label]
        found.append(Section(section_number(node.workflow_id), stage, first_child, node.offset, node.length))
        first_child += ceil(node.length / stages[stage].plan.chunk_size)
    return sorted(found, key=lambda section: section.number)
