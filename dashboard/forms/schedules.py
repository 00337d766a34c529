"""The form of a schedule's timing and policies; it makes the Timetable that the API takes too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from pydantic import ValidationError

from dashboard.errors import reasons_by_field
from dashboard.forms.fields import BOUND_ERRORS
from dashboard.schedules.recurrence import DAYS, UNITS, Recurrence, Repeat, interval_parts
from dashboard.schedules.timetable import Timetable, time_zones
from orchestration.client.schedule_models import Overlap, Timing

OVERLAPS = {
    Overlap.SKIP: (gettext_lazy("Skip"), gettext_lazy("Don't launch at that time.")),
    Overlap.BUFFER_ONE: (
        gettext_lazy("Queue one"),
        gettext_lazy("Launch as soon as the open batch has finished; queue at most one launch."),
    ),
    Overlap.BUFFER_ALL: (
        gettext_lazy("Queue all"),
        gettext_lazy("Launch one after another without skipping any; the queue may grow."),
    ),
    Overlap.CANCEL_OTHER: (
        gettext_lazy("Cancel running"),
        gettext_lazy("Cancel the open batch, let it clean up, then launch."),
    ),
    Overlap.TERMINATE_OTHER: (
        gettext_lazy("Terminate running"),
        gettext_lazy("Terminate the open batch without cleanup, then launch."),
    ),
    Overlap.ALLOW_ALL: (
        gettext_lazy("Allow all"),
        gettext_lazy("Launch anyway; any number of batches may be open."),
    ),
}
"""Title and description of each overlap policy."""

FORM_FIELDS = {"interval": "every", "catchup_window": "catchup"}
"""Form fields of Timetable fields that have another name."""

ANY_STEP = forms.NumberInput(attrs={"step": "any"})
UNIT_CHOICES = [
    ("seconds", gettext_lazy("seconds")),
    ("minutes", gettext_lazy("minutes")),
    ("hours", gettext_lazy("hours")),
    ("days", gettext_lazy("days")),
]
WEEK = [(day, DAYS[day]) for day in (1, 2, 3, 4, 5, 6, 0)]
ZONES = [(name, name.replace("_", " ")) for name in time_zones()]


TIMING_FIELDS = {"repeat", "minute", "at", "days", "every", "unit", "cron", "time_zone"}
"""The fields that the timing is made from."""


class TimetableForm(forms.Form):
    """Choices that make a cron expression or an interval; `timetable` is set once the form is valid.

    `timing` is set once the timing fields are valid, whatever the errors of the others.
    """

    timetable: Timetable
    timing: Timing | None = None

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=100, help_text=gettext_lazy("What the schedule is for.")
    )
    repeat = forms.ChoiceField(label=gettext_lazy("How often"), choices=Repeat.choices)
    minute = forms.IntegerField(
        label=gettext_lazy("At minute"), min_value=0, max_value=59, required=False, error_messages=BOUND_ERRORS
    )
    at = forms.TimeField(
        label=gettext_lazy("Time"), required=False, widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"})
    )
    days = forms.TypedMultipleChoiceField(
        label=gettext_lazy("On"), coerce=int, required=False, widget=forms.CheckboxSelectMultiple, choices=WEEK
    )
    every = forms.FloatField(
        label=gettext_lazy("Every"),
        required=False,
        min_value=0,
        max_value=1e8,
        widget=ANY_STEP,
        error_messages=BOUND_ERRORS,
    )
    unit = forms.ChoiceField(label=gettext_lazy("Unit"), choices=UNIT_CHOICES, required=False)
    cron = forms.CharField(
        label=gettext_lazy("Cron expression"),
        required=False,
        max_length=200,
        help_text=gettext_lazy(
            "Minute, hour, day of month, month, day of week. Day of month and day of week must both match."
        ),
    )
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"), choices=ZONES, help_text=gettext_lazy("Follows daylight saving time.")
    )
    overlap = forms.ChoiceField(
        label=gettext_lazy("When the previous batch is still open"),
        choices=[(name, title) for name, (title, _) in OVERLAPS.items()],
    )
    catchup = forms.IntegerField(
        label=gettext_lazy("Catch-up window"),
        min_value=0,
        error_messages=BOUND_ERRORS,
        help_text=gettext_lazy("Launches missed while Temporal was down still run if they are no older than this."),
    )
    catchup_unit = forms.ChoiceField(
        label=gettext_lazy("Unit"),
        choices=UNIT_CHOICES,
        widget=forms.Select(attrs={"aria-label": gettext_lazy("Unit of the catch-up window")}),
    )
    paused = forms.BooleanField(label=gettext_lazy("Create paused"), required=False)
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=500,
        required=False,
        help_text=gettext_lazy("Shown here and in Temporal."),
    )

    def clean(self) -> dict[str, Any]:
        """Make the Timetable, and put its errors at the fields that they come from."""
        cleaned: dict[str, Any] = super().clean() or {}
        self.timing = timing = None if TIMING_FIELDS & set(self.errors) else self._timing(cleaned)
        if self.errors or timing is None:
            return cleaned
        given = {name: cleaned[name] for name in ("name", "time_zone", "overlap", "note")}
        given["cron"] = timing.cron or None
        given["interval"] = timing.every.total_seconds() if timing.every is not None else None
        given["catchup_window"] = cleaned["catchup"] * UNITS[cleaned["catchup_unit"]]
        try:
            self.timetable = Timetable.model_validate(given)
        except ValidationError as error:
            self.add_errors({name or "repeat": reasons for name, reasons in reasons_by_field(error.errors()).items()})
        return cleaned

    def add_errors(self, errors: dict[str, list[str]]) -> None:
        """Add the errors of a Timetable to the fields that they come from."""
        for name, reasons in errors.items():
            place = FORM_FIELDS.get(name, name)
            if place == "cron" and self["repeat"].value() != Repeat.CRON:
                place = "repeat"
            for reason in reasons:
                self.add_error(place, reason)

    @property
    def time_errors(self) -> list[tuple[str, str]]:
        """Errors of the timing fields: label and reason."""
        return [
            (str(field.label), str(error)) for field in self if field.name in TIMING_FIELDS for error in field.errors
        ]

    def _timing(self, cleaned: dict[str, Any]) -> Timing | None:
        repeat = Repeat(cleaned["repeat"])
        needed = {
            Repeat.HOURLY: ("minute",),
            Repeat.DAILY: ("at",),
            Repeat.WEEKDAYS: ("at",),
            Repeat.WEEKLY: ("days", "at"),
            Repeat.INTERVAL: ("every", "unit"),
            Repeat.CRON: ("cron",),
        }[repeat]
        missing = [name for name in needed if cleaned.get(name) in (None, "", [])]
        for name in missing:
            self.add_error(name, _("This field is required."))
        if missing:
            return None
        every = timedelta(seconds=(cleaned["every"] or 0) * UNITS[cleaned["unit"] or "seconds"])
        given = {name: cleaned[name] for name in needed if name not in ("every", "unit", "days")}
        return Recurrence(repeat, days=tuple(cleaned["days"]), every=every, **given).timing(cleaned["time_zone"])


def initial_of(timetable: dict[str, Any]) -> dict[str, Any]:
    """Return the form's initial values for a timetable (`schedules.actions.timetable_of`); for {} the defaults."""
    interval, cron = timetable.get("interval"), timetable.get("cron")
    cadence = Recurrence(Repeat.WEEKDAYS) if not timetable else Recurrence(Repeat.CRON)
    if interval or cron:
        cadence = Recurrence.of(Timing(cron or "", timedelta(seconds=interval) if interval else None))
    every, unit = interval_parts(cadence.every)
    catchup, catchup_unit = interval_parts(timedelta(seconds=timetable.get("catchup_window", 3600)))
    return {
        "repeat": cadence.repeat,
        "minute": cadence.minute,
        "at": cadence.at,
        "days": list(cadence.days),
        "every": f"{every:g}",
        "unit": unit,
        "cron": cadence.cron,
        "time_zone": timetable.get("time_zone", settings.CANOPY_TIME_ZONE),
        "overlap": timetable.get("overlap", Overlap.SKIP.value),
        "catchup": round(catchup),
        "catchup_unit": catchup_unit,
        "name": timetable.get("name", ""),
        "note": timetable.get("note", ""),
    }
