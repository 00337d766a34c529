"""Staged: a processor that is the first of two stages is launched as a pipeline of both, saved as a definition."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User

from dashboard.definitions.saving import add_version, create
from dashboard.models import DefinitionVersion, SavedDefinition
from orchestration.definitions.models import Takes
from orchestration.processors.catalogue import get_processor
from orchestration.processors.registry import Processor

if TYPE_CHECKING:
    from dashboard.launching.request import LaunchRequest

NOTE = "Made by the launch form."


def staged(person: User, request: LaunchRequest) -> LaunchRequest:
    """Return a launch as it is, or of a processor with a second stage the launch of both. Raises PermissionDenied."""
    if request.definition is not None or not get_processor(request.processor).then:
        return request
    first = get_processor(request.processor)
    version = _version(person, f"{first.title} (form)", json.dumps(pipeline_of(first, request), indent=1))
    source = {**request.source, "form": first.name}
    return replace(request, processor="pipeline", definition=version.pk, source=source)


def pipeline_of(first: Processor, request: LaunchRequest) -> dict[str, Any]:
    """Return the definition of both stages: only of the second could anything be rolled back."""
    plan = request.plan.model_dump(mode="json", exclude_defaults=True)
    stops = {name: value for name, value in plan.items() if name != "on_threshold"}
    second = get_processor(first.then)
    stages = [
        _stage(first, request, stops),
        _stage(second, request, plan) | {"takes": Takes.RESULT.value},
    ]
    return {"kind": "pipeline", "stages": stages}


def _stage(processor: Processor, request: LaunchRequest, plan: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": processor.function.__name__,
        "processor": processor.name,
        "parameters": request.parameters,
        "plan": plan,
    }


def _version(person: User, name: str, text: str) -> DefinitionVersion:
    """Return the version with a text of the definition that forms save, which is made where there is none."""
    known = DefinitionVersion.objects.filter(definition__name=name, text=text).first()
    if known is not None:
        return known
    saved = SavedDefinition.objects.filter(name=name).first()
    return add_version(person, saved, text, NOTE) if saved is not None else create(person, name, text, NOTE)
