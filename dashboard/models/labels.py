"""Tags of batches and saved views of their list."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

TAG_LENGTH = 40
MOST_TAGS = 50


class BatchTag(models.Model):
    """A tag of a batch."""

    batch = models.ForeignKey("dashboard.Batch", on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=TAG_LENGTH)

    class Meta:
        ordering: ClassVar = ["name"]
        indexes: ClassVar = [models.Index(fields=["name", "batch"], name="tag_batches")]
        constraints: ClassVar = [models.UniqueConstraint(fields=["batch", "name"], name="tag_once")]

    def __str__(self) -> str:
        return self.name


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    """Saved views."""

    def visible_to(self, person: object) -> SavedViewQuerySet:
        """Filter for a person's own and those that are shared, by name."""
        return self.filter(Q(owner=person) | Q(is_shared=True)).order_by("name", "pk")


class SavedView(models.Model):
    """A filter and an order of the batch list under a name, as a query string; everybody sees one that is shared."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1_000)
    is_shared = models.BooleanField(default=False)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "name"], name="view_of_owner")]

    def __str__(self) -> str:
        return self.name
