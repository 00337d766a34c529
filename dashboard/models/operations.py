"""The record of operations on many children of a batch: what was chosen, what was asked for, and what was taken on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy

from dashboard.ids import new_id


class Action(models.TextChoices):
    """What is done to children."""

    RETRY = "retry", gettext_lazy("Retry")
    SKIP = "skip", gettext_lazy("Skip")
    CANCEL = "cancel", gettext_lazy("Cancel")
    TERMINATE = "terminate", gettext_lazy("Terminate")


class Operation(models.Model):
    """One action on a set of children that was frozen before it was confirmed.

    `chosen` are stretches of positions, [[first, last], …]; `number` and `items` how many that were, in `words`.
    `parameters` are those that the children's next attempts get instead of the batch's, `window` how many children are
    open at a time meanwhile; both None when they stay as they are. `refused` has at most REFUSALS_KEPT of
    `refused_number`: [[position, reason], …]. One that nobody confirmed has done nothing.
    """

    id: models.CharField[str, str] = models.CharField(primary_key=True, max_length=32, default=new_id)
    batch = models.ForeignKey("dashboard.Batch", on_delete=models.CASCADE, related_name="operations")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    action = models.CharField(max_length=20, choices=Action)
    words = models.CharField(max_length=200)
    chosen: models.JSONField[Any, Any] = models.JSONField(default=list)
    number = models.PositiveIntegerField()
    items = models.PositiveIntegerField(default=0)
    frozen_at = models.DateTimeField(auto_now_add=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    parameters: models.JSONField[Any, Any] = models.JSONField(null=True, blank=True)
    window = models.PositiveIntegerField(null=True, blank=True)
    accepted_number = models.PositiveIntegerField(default=0)
    refused: models.JSONField[Any, Any] = models.JSONField(default=list)
    refused_number = models.PositiveIntegerField(default=0)

    REFUSALS_KEPT: ClassVar = 1_000

    class Meta:
        ordering: ClassVar = ["-frozen_at", "-id"]
        indexes: ClassVar = [models.Index(fields=["batch", "-confirmed_at"], name="operation_newest")]

    def __str__(self) -> str:
        return f"{self.action} {self.words}"


def position_ranges(positions: Sequence[int]) -> list[list[int]]:
    """Return positions in order as stretches of what stands together."""
    found = list[list[int]]()
    for position in positions:
        if found and position == found[-1][1] + 1:
            found[-1][1] = position
        else:
            found.append([position, position])
    return found


def positions_in(found: Sequence[Sequence[int]]) -> Iterator[int]:
    """Yield the positions of stretches."""
    for first, last in found:
        yield from range(first, last + 1)
