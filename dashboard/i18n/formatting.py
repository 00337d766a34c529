"""Lazily translated texts, and localised numbers and durations."""

from __future__ import annotations

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

StrOrPromise = str | Promise
"""A string, or a lazily translated one."""

UNITS: dict[str, tuple[int, StrOrPromise]] = {
    "s": (1, gettext_lazy("s")),
    "min": (60, gettext_lazy("min")),
    "h": (3_600, gettext_lazy("h")),
    "d": (86_400, gettext_lazy("d")),
}
"""Units of a duration that a person sets: seconds of one, and what it is called."""


def translated(text: str) -> StrOrPromise:
    """Return the lazy translation of a text from code that does not import Django."""
    return gettext_lazy(text) if text else ""


def numeral(number: float) -> str:
    """Return a number without decimals, localised: 1,204 or 1.204."""
    return str(number_format(number, 0, force_grouping=True))


def duration(seconds: float | None) -> str:
    """Return seconds in readable units: 0.42 s, 12.3 s, 3 m 05 s, 2 h 04 m, 3 d 04 h."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{number_format(seconds, 2)} s"
    if seconds < 60:
        return f"{number_format(seconds, 1)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} m"
    day = _("d")
    return f"{hours // 24} {day} {hours % 24:02} h"


def age(seconds: float) -> str:
    """Return how long ago something was, in one unit (as static/js/lib/times.js does): 12 s ago, 3 min ago, 2 d ago."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return _("%(number)s s ago") % {"number": max(0, int(seconds))}
    if minutes < 60:
        return _("%(number)s min ago") % {"number": minutes}
    if minutes < 48 * 60:
        return _("%(number)s h ago") % {"number": minutes // 60}
    return _("%(number)s d ago") % {"number": numeral(minutes // (24 * 60))}


def in_unit(seconds: float) -> tuple[float, str]:
    """Return a duration as a number and the largest unit of which it is a whole number: (1, "d"), (90, "s")."""
    whole = seconds if not float(seconds).is_integer() else int(seconds)
    for unit, (size, _title) in reversed(UNITS.items()):
        if whole and isinstance(whole, int) and whole % size == 0:
            return whole // size, unit
    return whole, "s"


def quantity(seconds: float) -> str:
    """Return a duration that a person set, exactly: 1 d, 90 s, 0.5 s."""
    number, unit = in_unit(seconds)
    return f"{plain_number(number)} {UNITS[unit][1]}"


def plain_number(number: float) -> str:
    """Return a number with as many decimals as it has, localised: 0.25, 1,204."""
    decimals = len(f"{number:f}".rstrip("0").partition(".")[2]) if isinstance(number, float) else 0
    return str(number_format(number, decimals, force_grouping=True))
