"""Limits on how often one person or address may do something, counted in the database: over all web processes."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.models import ThrottleCount


class SharedThrottle:
    """At most `limit` events of a key in `seconds` that begin with its first event.

    Counting takes two statements, so that it is for what is rare, such as a wrong token: the process's own `Throttle`
    is for what comes with every request.
    """

    def __init__(self, name: str, limit: int, seconds: float) -> None:
        self.name, self.limit, self.seconds = name, limit, seconds

    def take(self, key: str) -> bool:
        """Count an event of a key, and return whether it is within the limit; one beyond it is not counted."""
        ThrottleCount.objects.filter(ends_at__lte=Now()).delete()
        counted = ThrottleCount(key=self._row(key), number=0, ends_at=Now() + timedelta(seconds=self.seconds))
        ThrottleCount.objects.bulk_create([counted], ignore_conflicts=True)
        within = ThrottleCount.objects.filter(key=self._row(key), number__lt=self.limit)
        return bool(within.update(number=F("number") + 1))

    def retry_after(self, key: str) -> int:
        """Return after how many whole seconds the next event of a key is within the limit, 0 if it is now."""
        full = ThrottleCount.objects.filter(key=self._row(key), number__gte=self.limit, ends_at__gt=Now())
        ends_at = full.values_list("ends_at", flat=True).first()
        if ends_at is None:
            return 0
        return min(max(1, round((ends_at - timezone.now()).total_seconds() + 0.5)), round(self.seconds) + 1)

    def _row(self, key: str) -> str:
        return f"{self.name}:{key if len(key) <= 100 else hashlib.sha256(key.encode()).hexdigest()}"
