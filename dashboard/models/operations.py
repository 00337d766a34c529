"""Operations on many children of a batch: what was selected, requested and accepted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dashboard.ids import new_id

_ALL = {
    "all failed": gettext_lazy("all failed"),
    "all canceled": gettext_lazy("all canceled"),
    "all terminated": gettext_lazy("all terminated"),
    "all timed_out": gettext_lazy("all timed out"),
    "all skipped": gettext_lazy("all skipped"),
    "all pending": gettext_lazy("all pending"),
    "all running": gettext_lazy("all running"),
    "all unfinished": gettext_lazy("all incomplete"),
}
_SELECTED = re.compile(r"([\d,]+) selected")


class Action(models.TextChoices):
    """What an operation does to children."""

    RETRY = "retry", gettext_lazy("Retry")
    SKIP = "skip", gettext_lazy("Skip")
    CANCEL = "cancel", gettext_lazy("Cancel")
    TERMINATE = "terminate", gettext_lazy("Terminate")


class Operation(models.Model):
    """One action on a set of children that is frozen before a person confirms it; unconfirmed, it has done nothing.

    `chosen` is the set as ranges of positions, [[first, last], …], `number` and `items` its size, `words` its
    description. `parameters` replace the batch's for the children's next attempts, and `window` is how many children
    are open meanwhile; None leaves either as it is. `refused` has at most REFUSALS_KEPT of `refused_number` refusals:
    [[position, reason], …]. Between `confirmed_at` and `answered_at` Temporal is asked, and no other operation retries
    the same children.
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
    answered_at = models.DateTimeField(null=True, blank=True)
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

    @property
    def shown_words(self) -> str:
        """Its description in the reader's language, where it is one of the usual ones."""
        if selected := _SELECTED.fullmatch(self.words):
            number = number_format(int(selected[1].replace(",", "")), force_grouping=True)
            return _("%(number)s selected") % {"number": number}
        return str(_ALL.get(self.words, self.words))


def position_ranges(positions: Sequence[int]) -> list[list[int]]:
    """Return ordered positions as ranges of consecutive ones, [[first, last], …]."""
    ranges = list[list[int]]()
    for position in positions:
        if ranges and position == ranges[-1][1] + 1:
            ranges[-1][1] = position
        else:
            ranges.append([position, position])
    return ranges


def positions_in(ranges: Sequence[Sequence[int]]) -> Iterator[int]:
    """Yield the positions of ranges."""
    for first, last in ranges:
        yield from range(first, last + 1)
