"""How long a batch will take, roughly, before it has run."""

from __future__ import annotations

from math import ceil

from orchestration.plan.layout import Layout
from orchestration.plan.plan import Plan

CHILDREN_PER_SECOND = 50
"""What a parent starts; measured with the embedded Temporal on two cores."""


def expected_seconds(plan: Plan, layout: Layout, seconds_per_item: float) -> float:
    """Return the seconds that a batch takes if nothing fails and workers have slots for all that the plan starts."""
    at_once = min(plan.window, layout.children) * min(plan.item_concurrency, plan.chunk_size)
    work = layout.items * seconds_per_item / max(at_once, 1)
    groups = ceil(layout.children / plan.group_size) if plan.group_size else 1
    return max(work, seconds_per_item, layout.children / CHILDREN_PER_SECOND) + (groups - 1) * plan.group_delay
