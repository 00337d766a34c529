"""What people made of a batch that requires action: who takes care of it, and that it needs no more."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from dashboard.models.batches import Batch


class Need(models.TextChoices):
    """Why a batch requires action, most urgent first."""

    APPROVAL = "approval", gettext_lazy("Waiting for approval")
    DECISION = "decision", gettext_lazy("Held")
    START = "start", gettext_lazy("Not started")
    BLOCKED = "blocked", gettext_lazy("Workflow task failing")
    STUCK = "stuck", gettext_lazy("Stuck")
    FAILING = "failing", gettext_lazy("Failing")
    FAILED = "failed", gettext_lazy("Finished with failures")


class InboxEntry(models.Model):
    """Who a batch is assigned to, and what was dismissed about it.

    A dismissal holds for one need, and as it was at that time: a batch that fails again is there again.
    """

    batch = models.OneToOneField(Batch, on_delete=models.CASCADE, related_name="inbox")
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="assigned"
    )
    dismissed_need = models.CharField(max_length=10, choices=Need, blank=True)
    dismissed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Inbox entry of {self.batch_id}"

    def has_dismissed(self, need: Need, since: datetime) -> bool:
        """Whether a need that has existed since then was dismissed."""
        return self.dismissed_need == need and self.dismissed_at is not None and self.dismissed_at >= since
