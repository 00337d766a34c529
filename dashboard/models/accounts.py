"""API tokens, and what was done with them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy


class TokenKind(models.TextChoices):
    """Whom a token stands for, which decides the routes it may call."""

    PERSON = "person", gettext_lazy("Person")
    WORKER = "worker", gettext_lazy("Worker")
    EVENTS = "events", gettext_lazy("Events")


class TokenRole(models.TextChoices):
    """What a person's token may do: no more than its owner may, and with VIEWER only look."""

    OWNER = "", gettext_lazy("As its owner")
    VIEWER = "viewer", gettext_lazy("Viewer")
    OPERATOR = "operator", gettext_lazy("Operator")


class ApiToken(models.Model):
    """A bearer token, kept as its SHA-256 only.

    A `person` token acts for its owner, within its `role`. A `worker` token does what a worker of its `queues` does,
    an `events` token reports events of workflows; their owner is who created them, and they work for as long as that
    person may operate. `used_at` is right to a minute. `used_as_worker_at`: a person's token was used by a worker or a
    plugin, which is possible for one release only.
    """

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=TokenKind, default=TokenKind.PERSON)
    role = models.CharField(max_length=10, choices=TokenRole, default=TokenRole.OWNER, blank=True)
    queues: models.JSONField[Any, Any] = models.JSONField(default=list, blank=True)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True)
    used_as_worker_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name


class TokenUse(models.Model):
    """What a token was used for, as far as it changes something: a request, and its answer's status.

    `subject` is what the request was about, such as a batch. What a worker does all the time is one entry a batch and
    route, with its first time.
    """

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="uses")
    action = models.CharField(max_length=200)
    subject = models.CharField(max_length=200, blank=True)
    status = models.PositiveIntegerField()
    address = models.CharField(max_length=45, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-at", "-id"]
        indexes: ClassVar = [models.Index(fields=["token", "-at"], name="use_of_token")]

    def __str__(self) -> str:
        return f"{self.action} {self.status}"
