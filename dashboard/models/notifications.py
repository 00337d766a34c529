"""Subscriptions to notifications, and their deliveries."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from dashboard.ids import new_id


class Occasion(models.TextChoices):
    """What happens to a batch that people can subscribe to."""

    ENDED = "ended", pgettext_lazy("a batch is", "finished")
    FAILING = "failing", gettext_lazy("failing")
    HELD = "held", gettext_lazy("waiting for a decision")
    BLOCKED = "blocked", gettext_lazy("blocked by a failing workflow task")


class Channel(models.TextChoices):
    """How a notification is delivered."""

    WEBHOOK = "webhook", gettext_lazy("Webhook")
    EMAIL = "email", gettext_lazy("E-mail")


class Subscription(models.Model):
    """A person's subscription to one `batch`, to all of a `processor` or with a `tag`, or to all batches.

    `address` is a URL or an e-mail address. `occasions` are Occasion values; a batch is failing once more than
    `threshold` percent of its children have failed.
    """

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=32, default=new_id)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="subscriptions")
    channel = models.CharField(max_length=10, choices=Channel)
    address = models.CharField(max_length=500)
    occasions: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    threshold = models.PositiveSmallIntegerField(default=0)
    batch = models.ForeignKey("dashboard.Batch", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    processor = models.CharField(max_length=100, blank=True)
    tag = models.CharField(max_length=40, blank=True)
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-made_at", "-id"]

    def __str__(self) -> str:
        return _("%(channel)s to %(address)s") % {
            "channel": self.get_channel_display(),
            "address": self.address,
        }

    @property
    def occasion_labels(self) -> list[str]:
        """What is subscribed to, in words."""
        return [str(each.label) for each in Occasion if each.value in self.occasions]


class DeliveryStatus(models.TextChoices):
    """State of a delivery."""

    PENDING = "pending", gettext_lazy("Pending")
    SENT = "completed", gettext_lazy("Sent")
    FAILED = "failed", gettext_lazy("Failed")


class Delivery(models.Model):
    """One notification to one address, stored with the change that it is about, and sent by a workflow with retries.

    `once` is its idempotency key: the root's run, or the start of the hold or of the failing task. `started_at`
    is when its workflow was started; `content` is what is sent, as built by `notifications`.
    """

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=32, default=new_id)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="deliveries")
    batch = models.ForeignKey("dashboard.Batch", on_delete=models.CASCADE, null=True, related_name="deliveries")
    occasion = models.CharField(max_length=10)
    once = models.CharField(max_length=100)
    content: models.JSONField[Any, Any] = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    made_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-made_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["made_at"], name="delivery_to_start", condition=models.Q(started_at__isnull=True)),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["subscription", "batch", "occasion", "once"], name="delivery_once"),
        ]

    def __str__(self) -> str:
        return f"{self.occasion} to {self.subscription.address}"

    @property
    def occasion_label(self) -> str:
        """What it is about, in words; empty for a test."""
        return str(Occasion(self.occasion).label) if self.occasion in Occasion.values else ""
