"""Launching saved definitions: the request of one, and which can be run."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.definition_models import DefinitionVersion
from dashboard.launching import LaunchRequest
from orchestration.definition_text import parse
from orchestration.definitions import (
    ApprovalStep,
    Definition,
    FanOutStep,
    IfStep,
    LoopStep,
    ParallelStep,
    Saga,
    Step,
    Steps,
)
from orchestration.gateway import FLOWS
from orchestration.plan import Plan
from orchestration.processors.registry import processors


def definition_request(version: DefinitionVersion, plan: Plan, label: str, key: str | None, via: str) -> LaunchRequest:
    """Return the launch of a saved definition. Raises DefinitionErrors when it is not valid any more."""
    definition = parse(version.text, processors())
    return LaunchRequest(
        processor=definition.kind,
        parameters={},
        plan=plan,
        count=0,
        rows=lambda: iter(()),
        digest="",
        label=label or version.definition.name,
        source={"kind": "definition"},
        idempotency_key=key,
        via=via,
        definition=version.pk,
    )


def unrunnable(definition: Definition) -> str:
    """Return why a definition cannot be launched yet; empty when it can."""
    if definition.kind not in FLOWS:
        return f"A {definition.kind} can be written and saved, but not launched yet."
    needs_items = isinstance(definition, Saga) and definition.fan_out
    if needs_items or (isinstance(definition, Steps) and any(_fans_out(step) for step in definition.steps)):
        return "A definition that fans out over items can be written and saved, but not launched yet."
    return ""


def _fans_out(step: Step) -> bool:
    if isinstance(step, FanOutStep):
        return True
    below: Sequence[Step] = ()
    if isinstance(step, ParallelStep):
        below = step.parallel
    elif isinstance(step, IfStep):
        below = (*step.then, *step.otherwise)
    elif isinstance(step, LoopStep):
        below = step.loop.steps
    elif isinstance(step, ApprovalStep):
        below = step.refused
    return any(_fans_out(each) for each in below)
