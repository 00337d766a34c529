"""Stages: what the definition of a batch says of the work on its items, and which sections a pipeline has."""

from __future__ import annotations

from functools import lru_cache
from math import ceil

from dashboard.definition_models import DefinitionVersion
from dashboard.models import Batch, Node
from orchestration.contracts import NodeKind, Section
from orchestration.definition_text import parse
from orchestration.definitions import Definition, Entity, Pipeline, Pool, Saga, Stage
from orchestration.processors.registry import processors

VERSIONS_KEPT = 64


@lru_cache(VERSIONS_KEPT)
def definition_of(version_id: int) -> Definition:
    """Return a saved version as it was parsed: a version never changes. Raises DefinitionErrors."""
    return parse(DefinitionVersion.objects.values_list("text", flat=True).get(pk=version_id), processors())


def stages_of(version_id: int | None) -> tuple[Stage, ...]:
    """Return the stages of a batch that is a pipeline; none for any other."""
    definition = definition_of(version_id) if version_id is not None else None
    return definition.stages if isinstance(definition, Pipeline) else ()


def work_of(version_id: int | None) -> Pool | Entity | None:
    """Return the definition of a batch that says what one fan-out does with its items; None for any other."""
    definition = definition_of(version_id) if version_id is not None else None
    return definition if isinstance(definition, Pool | Entity) else None


def is_saga_of_items(version_id: int) -> bool:
    """Whether a definition is a saga of each item."""
    definition = definition_of(version_id)
    return isinstance(definition, Saga) and definition.fan_out


def section_nodes(batch: Batch) -> list[Node]:
    """Return the nodes of a batch's sections, in the order in which they were made."""
    return list(Node.objects.filter(batch=batch, kind=NodeKind.STAGE).order_by("position"))


def sections_of(batch: Batch) -> list[Section]:
    """Return the sections that a pipeline's batch has so far."""
    stages = stages_of(batch.definition_id)
    numbers = {stage.name: number for number, stage in enumerate(stages)}
    found, first_child = list[Section](), 0
    for node in section_nodes(batch):
        stage = numbers[node.label]
        found.append(Section(node.position, stage, first_child, node.offset, node.length))
        first_child += ceil(node.length / stages[stage].plan.chunk_size)
    return found
