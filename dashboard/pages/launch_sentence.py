"""What a launch would start, in one sentence."""

from __future__ import annotations

from collections.abc import Collection

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dashboard.i18n.formatting import UNITS, numeral
from dashboard.queries.task_queues import workers_of
from orchestration.plan.estimate import expected_seconds
from orchestration.plan.layout import Layout
from orchestration.plan.plan import Plan


def launch_sentence(plan: Plan, layout: Layout | None, queues: Collection[str], seconds_per_item: float | None) -> str:
    """Return items, children, concurrency, duration, queues and workers; without a layout, items are not known."""
    at_once = plan.window if layout is None else min(plan.window, layout.children)
    values = {"window": numeral(at_once)}
    if layout is None:
        text = _("Items are counted as they are read, %(window)s children at a time") % values
    else:
        values["items"] = _counted_items(layout.items)
        values["children"] = _counted_children(layout.children)
        text = _("%(items)s in %(children)s, %(window)s at a time") % values
        if seconds_per_item is not None:
            seconds = expected_seconds(plan, layout, seconds_per_item)
            text = _("%(plan)s, about %(duration)s") % {"plan": text, "duration": about(seconds)}
    return f"{text}{_workers(queues)}."


def _counted_items(number: int) -> str:
    return ngettext("%(number)s item", "%(number)s items", number) % {"number": numeral(number)}


def _counted_children(number: int) -> str:
    return ngettext("%(number)s child", "%(number)s children", number) % {"number": numeral(number)}


def _workers(queues: Collection[str]) -> str:
    """Return the number of queues and workers; nothing while Temporal does not say."""
    numbers = [workers_of(name) for name in queues]
    if None in numbers:
        return ""
    workers = sum(number or 0 for number in numbers)
    on = ngettext("%(number)s queue", "%(number)s queues", len(queues)) % {"number": numeral(len(queues))}
    by = ngettext("%(number)s worker", "%(number)s workers", workers) % {"number": numeral(workers)}
    return f"; {on}, {by}"


def about(seconds: float) -> str:
    """Return a rough duration: 20 s, 3 min, 2 h."""
    if seconds < 57.5:
        number, unit = (max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)), "s"
    elif seconds < 3_570:
        number, unit = max(1, round(seconds / 60)), "min"
    elif seconds < 2 * 86_400:
        number, unit = round(seconds / 3_600), "h"
    else:
        number, unit = round(seconds / 86_400), "d"
    return f"{numeral(number)} {UNITS[unit][1]}"
