"""Schedules: what each launches, who made it, and who did what to it. The timetable is stored in Temporal alone."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy

from dashboard.i18n.formatting import StrOrPromise
from dashboard.ids import new_id

DONE: dict[str, StrOrPromise] = {
    "make": gettext_lazy("created the schedule"),
    "edit": gettext_lazy("edited the schedule"),
    "pause": gettext_lazy("paused the schedule"),
    "resume": gettext_lazy("resumed the schedule"),
    "trigger": gettext_lazy("triggered a launch"),
    "delete": gettext_lazy("deleted the schedule"),
    "launch": gettext_lazy("started a scheduled launch"),
}
"""What a person did, by the action of the entry, which is stored and part of the API."""


class Schedule(models.Model):
    """A launch that Temporal repeats by its own timetable.

    `request` is the LaunchRequest as data (schedules.stored_launch). Its items come from the upload or the number, read
    again at each launch. A deleted schedule is gone from Temporal, and kept here for the batches that it launched.
    """

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=32, default=new_id)
    name = models.CharField(max_length=100)
    request: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    item_count = models.PositiveIntegerField()
    upload = models.ForeignKey("dashboard.Upload", on_delete=models.PROTECT, null=True, blank=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="schedules")
    made_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def processor(self) -> str:
        """The name of what is launched."""
        return str(self.request["processor"])

    @property
    def launch_address(self) -> str:
        """The page that launches or schedules the same again."""
        if self.request.get("definition") is not None:
            return f"{reverse('definition-launch')}?definition={self.request['definition']}"
        return reverse("launch", args=[self.processor])


class ScheduleEntry(models.Model):
    """One action of a person on a schedule, or a failed launch of it: who, when, what, with which outcome."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="entries")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    token = models.CharField(max_length=100, blank=True, default="")
    action = models.CharField(max_length=30)
    scope = models.CharField(max_length=500, blank=True)
    outcome = models.TextField(blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-at", "-id"]
        verbose_name_plural = "schedule entries"

    def __str__(self) -> str:
        return f"{self.action} {self.scope}"

    @property
    def actor(self) -> str:
        """Who did it, for a person: the name, and that of the API token."""
        return f"{self.person.get_username()} ({self.token})" if self.token else str(self.person.get_username())

    @property
    def done(self) -> StrOrPromise:
        """What was done, as a sentence goes on after the actor; an outcome of its own is not part of it."""
        return DONE.get(self.action, self.action)

    @property
    def remark(self) -> str:
        """The outcome where it says more than that the action was accepted."""
        return "" if self.outcome == "Accepted." else self.outcome
