"""The form of a plan: three questions, the rest under "Advanced", and what applies only with another choice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.forms import BoundField
from django.utils.translation import gettext_lazy

from dashboard.forms.pydantic_forms import PydanticForm, form_of
from orchestration.plan.choices import Execution, FailurePolicy, OnThreshold
from orchestration.plan.options import ATTEMPTS, FAILURES, SPEED
from orchestration.plan.plan import Plan

FIRST = {
    SPEED: ("window", "chunk_size", "item_concurrency"),
    FAILURES: (
        "item_attempts",
        "failure_policy",
        "tolerated_failures",
        "tolerated_percent",
        "on_threshold",
        "hold_at_end",
        "hold_timeout",
    ),
}
"""The questions of the form, and the fields that answer them, in order."""

Choices = Mapping[str, Any]


def _is_held(chosen: Choices) -> bool:
    return bool(chosen.get("hold_at_end")) or (_stops(chosen) and chosen.get("on_threshold") == OnThreshold.HOLD)


def _stops(chosen: Choices) -> bool:
    return chosen.get("failure_policy") != FailurePolicy.COLLECT


def _tolerates(chosen: Choices) -> bool:
    return chosen.get("failure_policy") == FailurePolicy.TOLERATE


def _has_entities(chosen: Choices) -> bool:
    return chosen.get("execution") == Execution.ENTITIES


CONDITIONS: Mapping[str, tuple[str, Callable[[Choices], bool]]] = {
    "tolerated_failures": ("tolerate", _tolerates),
    "tolerated_percent": ("tolerate", _tolerates),
    "on_threshold": ("limit", _stops),
    "hold_timeout": ("hold", _is_held),
    "breaker_cooldown": ("breaker", lambda chosen: bool(chosen.get("breaker_failures"))),
    "breaker_open": ("breaker", lambda chosen: bool(chosen.get("breaker_failures"))),
    "group_delay": ("groups", lambda chosen: bool(chosen.get("group_size"))),
    "resource_taken": ("resource", lambda chosen: bool(chosen.get("resource_field"))),
    "entity_field": ("entities", _has_entities),
    "entity_continue_after": ("entities", _has_entities),
    "entity_idle": ("entities", _has_entities),
    "approval_timeout": ("approval", lambda chosen: bool(chosen.get("approval"))),
    "four_eyes": ("approval", lambda chosen: bool(chosen.get("approval"))),
    "page_children": ("paged", lambda chosen: bool(chosen.get("paged"))),
}
"""Fields that apply only with other choices: the condition, and its name, for which launch.css has a rule."""

PLACEHOLDERS = {
    "breaker_failures": gettext_lazy("Off"),
    "group_size": gettext_lazy("No groups"),
    "resource_field": gettext_lazy("None"),
}
"""What stands in a field that is empty. A sheet sees by it whether there is anything else."""


def plan_form(data: Mapping[str, Any] | None = None, *, initial: Mapping[str, Any] | None = None) -> PydanticForm:
    """Return the form of a plan, bound to `data` unless that is None."""
    made = form_of(Plan)
    made.conditions = {name: applies for name, (_condition, applies) in CONDITIONS.items()}
    form = made(data, prefix="plan", initial=initial)
    for name, (condition, _applies) in CONDITIONS.items():
        form.fields[name].condition = condition  # type: ignore[attr-defined]
    for name, text in PLACEHOLDERS.items():
        form.fields[name].widget.attrs["placeholder"] = text
    return form


def question(form: PydanticForm, name: str) -> list[BoundField]:
    """Return the fields of a question."""
    return [form[each] for each in FIRST[name]]


def advanced(form: PydanticForm) -> list[tuple[str, list[BoundField]]]:
    """Return the other fields by group."""
    groups = [(name, fields) for name, fields in form.groups if name and name not in FIRST]
    return sorted(groups, key=lambda group: group[0] != ATTEMPTS)


def changed(form: PydanticForm) -> int:
    """Return how many advanced fields of an unbound form differ from the plan's defaults."""
    defaults = Plan()
    values = ((field, form.initial.get(field.name)) for _name, fields in advanced(form) for field in fields)
    return sum(given is not None and given.value != getattr(defaults, field.name) for field, given in values)
