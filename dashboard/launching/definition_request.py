"""A saved definition becomes a launch request with a plan and items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dashboard.definitions.stages import definition_of, first_stage
from dashboard.inputs.rows import InputRow
from dashboard.launching.request import LaunchRequest
from dashboard.models import DefinitionVersion
from orchestration.definitions.models import Definition, Entity, Pool, Saga
from orchestration.plan.choices import Execution
from orchestration.plan.plan import Plan
from orchestration.plan.validation import problems

FLOW_OPTIONS = ("item_attempts", "item_backoff", "item_timeout", "non_retryable", "task_queue")
"""Fields of the plan that a launch of a definition may set."""


@dataclass(frozen=True)
class LaunchItems:
    """The items of a definition's launch; the fields are those of LaunchRequest."""

    count: int = 0
    rows: Callable[[], Iterator[InputRow]] = lambda: iter(())
    digest: str = ""
    source: Mapping[str, Any] = field(default_factory=lambda: {"kind": "definition"})


def definition_request(
    version: DefinitionVersion, plan: Plan, label: str, key: str | None, via: str, items: LaunchItems | None = None
) -> LaunchRequest:
    """Return the launch request of a saved version. Raises DefinitionErrors when it is no longer valid."""
    definition = definition_of(version.pk)
    items = items or LaunchItems()
    return LaunchRequest(
        processor=definition.kind,
        parameters={},
        plan=plan_of(definition, plan),
        count=items.count,
        rows=items.rows,
        digest=items.digest,
        label=label or version.definition.name,
        source=dict(items.source),
        idempotency_key=key,
        via=via,
        definition=version.pk,
    )


def plan_of(definition: Definition, plan: Plan) -> Plan:
    """Return the plan of a batch of a definition; pools, entities and sagas of items determine theirs themselves."""
    own: dict[str, Any] = {}
    if isinstance(definition, Saga) and definition.fan_out:
        return definition.plan
    if isinstance(definition, Pool):
        own = {"execution": Execution.POOL, "window": definition.workers, "chunk_size": 1}
    elif isinstance(definition, Entity):
        own = {"execution": Execution.ENTITIES, "entity_field": definition.key, "chunk_size": 1}
        own["entity_continue_after"] = definition.continue_after
    return Plan.model_validate(plan.model_dump(include=set(FLOW_OPTIONS)) | own) if own else plan


def first_processor(definition: Definition) -> str:
    """Return the processor that items of a definition reach first; empty for a definition without items."""
    if isinstance(definition, Pool | Entity):
        return definition.processor
    if isinstance(definition, Saga) and definition.fan_out:
        return definition.steps[0].processor
    first = first_stage(definition)
    return first[1].processor if first is not None else ""


def item_problems(definition: Definition, count: int) -> dict[str, str]:
    """Return why a definition cannot work for a number of items: {place in it: reason}."""
    if isinstance(definition, Pool | Entity | Saga):
        return problems(plan_of(definition, Plan()), count)
    if (first := first_stage(definition)) is None:
        return {}
    stage = first[1]
    return {f"{stage.name}.{name}": reason for name, reason in problems(stage.plan, count).items()}
