"""The timetable of a schedule: its name, timing and policies, validated."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self
from zoneinfo import available_timezones

from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from orchestration.client.schedule_models import MIN_CATCHUP, MIN_INTERVAL, Overlap, ScheduleSettings, Timing

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


def time_zones() -> list[str]:
    """Return the names of the time zones on offer, UTC first."""
    skipped = ("posix", "right", "Etc/", "US/", "SystemV/")
    named = {name for name in available_timezones() if "/" in name and not name.startswith(skipped)}
    return ["UTC", *sorted(named)]


class Timetable(BaseModel):
    """What a person sets of a schedule: either `cron` or `interval` (seconds); `catchup_window` is in seconds too."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    cron: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)] | None = None
    interval: float | None = Field(default=None, ge=MIN_INTERVAL.total_seconds(), le=3650 * 86_400)
    time_zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    catchup_window: int = Field(default=3600, ge=int(MIN_CATCHUP.total_seconds()), le=365 * 86_400)
    note: str = Field(default="", max_length=500)

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(
                _("Unknown time zone %(name)s. Use a name such as UTC or Europe/Berlin.") % {"name": repr(name)}
            )
        return name

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.cron is None) == (self.interval is None):
            raise ValueError(_("Provide either cron or interval."))
        return self

    @property
    def timing(self) -> Timing:
        """The timing as Temporal takes it."""
        every = timedelta(seconds=self.interval) if self.interval is not None else None
        return Timing(self.cron or "", every, self.time_zone)

    def setting(self, *, paused: bool = False) -> ScheduleSettings:
        """The settings that Temporal stores."""
        return ScheduleSettings(self.timing, self.overlap, timedelta(seconds=self.catchup_window), paused, self.note)
