"""Two-stage launches: a processor that names a second stage runs as a pipeline of both, a saved definition."""

from __future__ import annotations

from dataclasses import replace

from django.contrib.auth.models import User

from dashboard.definitions.saving import save_generated
from dashboard.launching.request import LaunchRequest
from orchestration.definitions.models import Pipeline, Stage, Takes
from orchestration.plan.plan import Plan
from orchestration.processors.catalogue import get_processor
from orchestration.processors.processor import Processor

NOTE = "Created by the launch form."


def has_two_stages(request: LaunchRequest) -> bool:
    """Whether a launch is of a processor with a second stage."""
    return request.definition is None and bool(get_processor(request.processor).then)


def as_pipeline(person: User, request: LaunchRequest) -> tuple[LaunchRequest, Pipeline]:
    """Return the request for both stages, and the pipeline that it runs, which is stored as a saved definition."""
    first = get_processor(request.processor)
    pipeline = pipeline_of(first, request)
    version = save_generated(person, f"{first.title} (form)", pipeline, NOTE)
    source = {**request.source, "form": first.name}
    return replace(request, processor=pipeline.kind, definition=version.pk, source=source), pipeline


def pipeline_of(first: Processor, request: LaunchRequest) -> Pipeline:
    """Return the pipeline of both stages. Only the second is rolled back."""
    second = get_processor(first.then)
    return Pipeline(
        kind="pipeline",
        stages=(
            Stage(**_stage(first, request), plan=_plan(first, request.plan, leave_out="on_threshold")),
            Stage(**_stage(second, request), plan=_plan(second, request.plan), takes=Takes.RESULT),
        ),
    )


def _stage(processor: Processor, request: LaunchRequest) -> dict[str, object]:
    return {
        "name": processor.function.__name__,
        "processor": processor.name,
        "parameters": request.parameters,
    }


def _plan(processor: Processor, plan: Plan, leave_out: str = "") -> Plan:
    """Return a stage's plan with only those fields set that the definition's text must contain.

    A field that the text leaves out gets the processor's recommended value, else the plan's default.
    """
    whole = plan.model_dump()
    explicit = {*plan.model_dump(exclude_defaults=True), *processor.default_plan} - {leave_out}
    return Plan.model_validate({name: whole[name] for name in whole if name in explicit})
