"""Saved definitions and their versions. A version is immutable: what a batch was launched with stays readable."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models


class SavedDefinition(models.Model):
    """A named definition. `newest` is the number of its newest version."""

    name = models.CharField(max_length=100, unique=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="definitions")
    created_at = models.DateTimeField(auto_now_add=True)
    newest = models.PositiveIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class VersionIsImmutable(Exception):
    """Raised when a version is saved again or deleted."""


class VersionManager(models.Manager["DefinitionVersion"]):
    """Versions whose text, of up to 1 MB, is read when it is asked for: most only want to name them."""

    def get_queryset(self) -> models.QuerySet[DefinitionVersion]:
        """Return versions without their text; `defer(None)` brings it with them."""
        return super().get_queryset().defer("text")


class DefinitionVersion(models.Model):
    """One text of a definition, numbered from 1. `kind` is the kind that the text declares, for lists."""

    definition = models.ForeignKey(SavedDefinition, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    text = models.TextField()
    note = models.CharField(max_length=200, blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="definition_versions")
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[VersionManager] = VersionManager()

    class Meta:
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["definition", "number"], name="version_number")]

    def __str__(self) -> str:
        return f"{self.definition} version {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert it. Raises VersionIsImmutable for one that is stored."""
        if not self._state.adding:
            raise VersionIsImmutable(f"{self} cannot be changed: save a new version.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raise VersionIsImmutable."""
        raise VersionIsImmutable(f"{self} cannot be deleted: batches may have been launched with it.")
