"""Who may approve a batch: any operator, but with four eyes not whoever launched it."""

from __future__ import annotations

from django.contrib.auth.models import User

from dashboard.accounts.permissions import Person, may_operate
from dashboard.definitions.stages import definition_of, stages_of
from dashboard.models import Batch, ScheduleEntry
from orchestration.definitions.models import Steps
from orchestration.definitions.steps import ApprovalStep, nested_steps

LAUNCHING = ("make", "edit", "trigger")
"""What a person does to a schedule that decides what it launches, or when."""


def may_approve(person: Person, batch: Batch) -> bool:
    """Whether a person may let a batch go on at an approval gate."""
    return may_operate(person) and not (needs_four_eyes(batch) and has_launched(person, batch))


def needs_four_eyes(batch: Batch) -> bool:
    """Whether a gate of a batch needs a second person. Then all do: a decision may reach the gate after the next."""
    if batch.plan.four_eyes or any(stage.plan.four_eyes for stage in stages_of(batch.definition_id)):
        return True
    definition = definition_of(batch.definition_id) if batch.definition_id is not None else None
    steps = nested_steps(definition.steps) if isinstance(definition, Steps) else ()
    return any(isinstance(step, ApprovalStep) and step.approval.four_eyes for step in steps)


def has_launched(person: User, batch: Batch) -> bool:
    """Whether a person launched a batch: themselves, or by making, changing or triggering the schedule that did."""
    if person.pk == batch.launched_by_id:
        return True
    if batch.schedule_id is None:
        return False
    did = ScheduleEntry.objects.filter(schedule=batch.schedule_id, person=person, action__in=LAUNCHING)
    return did.filter(at__lte=batch.created_at).exists()
