"""Validation of a plan against a number of items: errors by field, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import ceil

from orchestration.plan.choices import FailurePolicy
from orchestration.plan.layout import MAX_FLAT_CHILDREN, Layout
from orchestration.plan.plan import Plan
from orchestration.translation import _, ngettext


def problems(plan: Plan, items: int) -> dict[str, str]:
    """Return why a plan cannot work for this number of items: {field: reason}."""
    children = Layout.of(plan, items).children
    found = dict[str, str]()
    if children > MAX_FLAT_CHILDREN and not plan.may_partition:
        where = "partitions" if plan.has_child_workflows else "execution"
        found[where] = _(
            "%(children)s children directly below one parent are too many: at most %(limit)s are safe. "
            "Choose a larger chunk size, or allow partitions."
        ) % {"children": f"{children:,}", "limit": f"{MAX_FLAT_CHILDREN:,}"}
    return found


def warnings(plan: Plan, items: int) -> Sequence[str]:
    """Return one sentence for each choice in the plan that is unwise for this number of items."""
    layout = Layout.of(plan, items)
    found = []
    if items > 1_000 and plan.chunk_size == 1:
        found.append(
            _(
                "%(items)s children with one item each: a chunk size of %(chunk_size)s is much faster, unless every "
                "item takes seconds."
            )
            % {"items": f"{items:,}", "chunk_size": f"{min(100, ceil(items / 100)):,}"}
        )
    if plan.chunk_size > 1 and layout.children < min(plan.window, 4) and items >= 4:
        found.append(
            ngettext(
                "Only %(children)s child: a smaller chunk size lets more workers help.",
                "Only %(children)s children: a smaller chunk size lets more workers help.",
                layout.children,
            )
            % {"children": layout.children}
        )
    if plan.window > 200:
        found.append(
            _("A max concurrency of %(window)s is rarely faster than 200 and slows down pausing and canceling.")
            % {"window": plan.window}
        )
    if plan.window == 1 and layout.children > 1:
        found.append(_("A max concurrency of 1 runs the children one after another."))
    if plan.chunk_timeout(plan.chunk_size) > timedelta(days=1):
        found.append(_("With these attempts and timeouts a child may take more than a day."))
    if plan.failure_policy is FailurePolicy.TOLERATE and plan.failure_limit(layout.children) == 0:
        found.append(_("This tolerance rounds down to zero: the batch stops at the first failure."))
    return found
