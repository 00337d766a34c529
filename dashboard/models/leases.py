"""What the web processes of an installation agree on: which of them does what one alone must do, and common values."""

from __future__ import annotations

from django.db import models


class Lease(models.Model):
    """What one process at a time may do, until a time of the database's clock.

    `holder` names the process. `fence` counts the holders: whoever finds another number has been replaced.
    """

    name: models.CharField[str, str] = models.CharField(primary_key=True, max_length=50)
    holder = models.CharField(max_length=200, blank=True)
    fence = models.PositiveBigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"


class CommonValue(models.Model):
    """A value that has to be the same in all processes of an installation, such as the fingerprint of a key."""

    name: models.CharField[str, str] = models.CharField(primary_key=True, max_length=50)
    value = models.CharField(max_length=500)
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.name


class ThrottleCount(models.Model):
    """How many events of a key have been counted, until a time of the database's clock."""

    key: models.CharField[str, str] = models.CharField(primary_key=True, max_length=200)
    number = models.PositiveIntegerField(default=0)
    ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.key}: {self.number}"


class StaticFile(models.Model):
    """A static file of some release by its hashed name, for processes of others."""

    name: models.CharField[str, str] = models.CharField(primary_key=True, max_length=300)
    content = models.BinaryField()
    served_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
