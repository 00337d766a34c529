"""Recurrence: the choices of a form such as "every weekday at 07:00", as cron expressions and back, and in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time, timedelta

from django.db.models import TextChoices
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from orchestration.client.schedule_models import Timing

DAYS = (
    gettext_lazy("Sunday"),
    gettext_lazy("Monday"),
    gettext_lazy("Tuesday"),
    gettext_lazy("Wednesday"),
    gettext_lazy("Thursday"),
    gettext_lazy("Friday"),
    gettext_lazy("Saturday"),
)
"""As cron numbers them."""

WEEKDAYS = "1-5"
UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}

HOURLY = re.compile(r"(\d+) \* \* \* \*")
AT_A_TIME = re.compile(r"(\d+) (\d+) \* \* ([\d,*-]+)")


class Repeat(TextChoices):
    """The choices of how a schedule repeats."""

    HOURLY = "hourly", gettext_lazy("Every hour")
    DAILY = "daily", gettext_lazy("Every day at")
    WEEKDAYS = "weekdays", gettext_lazy("Every weekday at")
    WEEKLY = "weekly", gettext_lazy("Every week on")
    INTERVAL = "interval", gettext_lazy("At an interval")
    CRON = "cron", gettext_lazy("Cron expression")


@dataclass(frozen=True)
class Recurrence:
    """A choice with its minute, time of day, days of the week, interval or cron expression."""

    repeat: Repeat
    minute: int = 0
    at: time = time(7)
    days: tuple[int, ...] = (1,)
    every: timedelta = timedelta(hours=1)
    cron: str = ""

    @classmethod
    def of(cls, timing: Timing) -> Recurrence:
        """Recognise a timing; a cron expression of another form becomes Repeat.CRON."""
        if timing.every is not None:
            return cls(Repeat.INTERVAL, every=timing.every)
        if found := HOURLY.fullmatch(timing.cron):
            return cls(Repeat.HOURLY, minute=int(found[1]), cron=timing.cron)
        found = AT_A_TIME.fullmatch(timing.cron)
        if found is None or int(found[1]) > 59 or int(found[2]) > 23:
            return cls(Repeat.CRON, cron=timing.cron)
        at, days = time(int(found[2]), int(found[1])), found[3]
        if days == "*":
            return cls(Repeat.DAILY, at=at, cron=timing.cron)
        if days == WEEKDAYS:
            return cls(Repeat.WEEKDAYS, at=at, cron=timing.cron)
        numbers = _days(days)
        if not numbers:
            return cls(Repeat.CRON, cron=timing.cron)
        return cls(Repeat.WEEKLY, at=at, days=numbers, cron=timing.cron)

    def timing(self, time_zone: str) -> Timing:
        """Return it as Temporal takes it."""
        if self.repeat is Repeat.INTERVAL:
            return Timing(every=self.every, time_zone=time_zone)
        return Timing(cron=self._expression(), time_zone=time_zone)

    def _expression(self) -> str:
        clock = f"{self.at.minute} {self.at.hour} * *"
        match self.repeat:
            case Repeat.HOURLY:
                return f"{self.minute} * * * *"
            case Repeat.DAILY:
                return f"{clock} *"
            case Repeat.WEEKDAYS:
                return f"{clock} {WEEKDAYS}"
            case Repeat.WEEKLY:
                return f"{clock} {','.join(str(day) for day in sorted(self.days))}"
            case _:
                return self.cron

    def __str__(self) -> str:
        match self.repeat:
            case Repeat.INTERVAL:
                return interval_words(self.every)
            case Repeat.HOURLY:
                return _("every hour at :%(minute)s") % {"minute": f"{self.minute:02}"}
            case Repeat.DAILY:
                return _("every day at %(at)s") % {"at": f"{self.at:%H:%M}"}
            case Repeat.WEEKDAYS:
                return _("every weekday at %(at)s") % {"at": f"{self.at:%H:%M}"}
            case Repeat.WEEKLY:
                return _("every %(days)s at %(at)s") % {
                    "days": ", ".join(str(DAYS[day]) for day in self.days),
                    "at": f"{self.at:%H:%M}",
                }
            case _:
                return _("cron %(cron)s") % {"cron": self.cron}


def _days(field: str) -> tuple[int, ...]:
    """Return the days of a cron field like 0,3-5; none for anything else."""
    days = set[int]()
    for part in field.split(","):
        found = re.fullmatch(r"([0-6])(?:-([0-6]))?", part)
        if found is None:
            return ()
        days |= set(range(int(found[1]), int(found[2] or found[1]) + 1))
    return tuple(sorted(days))


def timing_in_words(timing: Timing | None) -> str:
    """Return a timing in words, with its time zone if it has a time of day."""
    if timing is None:
        return _("at several times, set outside Canopy")
    recurrence = Recurrence.of(timing)
    zone = "" if recurrence.repeat in (Repeat.INTERVAL, Repeat.HOURLY) else f" {timing.time_zone}"
    return f"{recurrence}{zone}"


def interval_words(every: timedelta) -> str:
    """Return an interval in its largest whole unit: "every 90 minutes", "every second"."""
    number, unit = interval_parts(every)
    count = round(number) if number == round(number) else 2  # a fraction takes the plural
    words = {
        "seconds": ngettext("every second", "every %(number)s seconds", count),
        "minutes": ngettext("every minute", "every %(number)s minutes", count),
        "hours": ngettext("every hour", "every %(number)s hours", count),
        "days": ngettext("every day", "every %(number)s days", count),
    }
    return words[unit] % {"number": number_format(f"{number:g}")}


def interval_parts(every: timedelta) -> tuple[float, str]:
    """Return an interval as a number of its largest whole unit."""
    seconds = every.total_seconds()
    unit = next((unit for unit, size in reversed(UNITS.items()) if seconds % size == 0), "seconds")
    return seconds / UNITS[unit], unit
