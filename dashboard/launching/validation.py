"""Validation of a launch's plan against its processor and number of items."""

from __future__ import annotations

from django.utils.translation import gettext as _

from dashboard.launching.compensation import has_compensation
from orchestration.definitions.parts import UNSUITED_TO_STAGES
from orchestration.plan.choices import Execution, OnThreshold
from orchestration.plan.plan import Plan
from orchestration.plan.validation import problems
from orchestration.processors.catalogue import get_processor


def plan_problems(processor: str, plan: Plan, count: int) -> dict[str, str]:
    """Return why a plan cannot work for a processor and a number of items: {field of the plan: reason}."""
    reasons = problems(plan, count)
    spec = get_processor(processor)
    if plan.on_threshold is OnThreshold.ROLL_BACK and not has_compensation(spec.then or spec.name):
        reasons["on_threshold"] = _("%(processor)s has no compensation, so it cannot be rolled back.") % {
            "processor": processor
        }
    if spec.then:
        unsuited = [name for name in UNSUITED_TO_STAGES if getattr(plan, name)]
        reasons |= dict.fromkeys(
            unsuited, _("%(processor)s has two stages, and stages do not support this.") % {"processor": processor}
        )
    if spec.child_workflow:
        if plan.chunk_size != 1:
            reasons["chunk_size"] = _("%(processor)s starts a workflow for each item, so the chunk size must be 1.") % {
                "processor": processor
            }
        if plan.execution is not Execution.CHUNK:
            reasons["execution"] = _("%(processor)s uses its own type of children: leave this at its default.") % {
                "processor": processor
            }
    return reasons
