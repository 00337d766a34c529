"""Cron expressions: the one that a calendar of Temporal's comes from, so that it can be shown and typed again."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.client import ScheduleCalendarSpec, ScheduleRange

MINUTES = (0, 59)
HOURS = (0, 23)
DAYS_OF_MONTH = (1, 31)
MONTHS = (1, 12)
DAYS_OF_WEEK = (0, 6)


def cron_of(calendar: ScheduleCalendarSpec) -> str:
    """Return a calendar as a cron expression: 5 fields, with seconds 7, or with a year 6 as Temporal counts them."""
    fields = [
        _field(calendar.minute, MINUTES),
        _field(calendar.hour, HOURS),
        _field(calendar.day_of_month, DAYS_OF_MONTH),
        _field(calendar.month, MONTHS),
        _field(calendar.day_of_week, DAYS_OF_WEEK),
    ]
    second, year = _field(calendar.second, MINUTES), _field(calendar.year, None)
    if second != "0":
        return " ".join([second, *fields, year])
    return " ".join([*fields, year] if year != "*" else fields)


def _field(ranges: Sequence[ScheduleRange], whole: tuple[int, int] | None) -> str:
    if not ranges:
        return "*"
    return ",".join(_range(each, whole) for each in ranges)


def _range(each: ScheduleRange, whole: tuple[int, int] | None) -> str:
    step = f"/{each.step}" if each.step > 1 else ""
    if (each.start, each.end) == whole:
        return f"*{step}"
    return f"{each.start}{step}" if each.end <= each.start else f"{each.start}-{each.end}{step}"
